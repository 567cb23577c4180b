"""Gorse JSON: users, items and feedback, each a file or all in one document."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from endcap.events.dialects.base import Record, TableName, failed, kind_of, without_empty
from endcap.events.reading import Piece, Source, read_json
from endcap.events.validate.faults import Fault

_LISTS: Final = ("users", "items", "feedback", "Users", "Items", "Feedback")
_READ: Final = {"read": "view", "favorite": "wish", "thumbs_up": "wish", "thumbs_down": "dismiss"}


class Gorse:
    """What Gorse's API takes and gives."""

    name: ClassVar[str] = "gorse"
    title: ClassVar[str] = "Gorse JSON"

    def recognise(self, source: Source) -> float:
        """Return 0.95 where the first record has the fields of one of Gorse's three tables."""
        if source.first_line[:1] not in {"{", "["}:
            return 0.0
        for piece in read_json(source, lists=_LISTS, accept=_is_record):
            if isinstance(piece.content, dict):
                return 0.95 if _is_record(piece.content) else 0.0
        return 0.0

    def read(self, source: Source) -> Iterator[Record]:
        """Yield users, items and feedback."""
        for piece in read_json(source, lists=_LISTS, accept=_is_record):
            if type(piece.content) is Fault:
                yield failed(_table_of_list(piece.key), piece)
            else:
                yield _record(piece)


def _is_record(tree: Mapping[str, Any]) -> bool:
    return "FeedbackType" in tree or "ItemId" in tree or "UserId" in tree


def _table_of_list(key: str) -> TableName:
    tables: dict[str, TableName] = {"users": "users", "items": "items"}
    return tables.get(key.lower(), "events")


def _record(piece: Piece) -> Record:
    tree = piece.content
    if "FeedbackType" in tree:
        return Record("events", piece.line, _feedback(tree), piece.raw)
    if "ItemId" in tree:
        return Record("items", piece.line, _item(tree), piece.raw)
    if "UserId" in tree:
        return Record("users", piece.line, _user(tree), piece.raw)
    fault = Fault("bad-record", "Neither FeedbackType, ItemId nor UserId is given.")
    return Record(_table_of_list(piece.key), piece.line, fault, piece.raw)


def _feedback(tree: Mapping[str, Any]) -> dict[str, Any]:
    rest = dict(tree)
    kind = rest.pop("FeedbackType")
    return without_empty(
        {
            "kind": _READ.get(kind, kind_of(kind)) if isinstance(kind, str) else kind,
            "user_id": rest.pop("UserId", None),
            "item_id": rest.pop("ItemId", None),
            "time": rest.pop("Timestamp", None),
            "value": rest.pop("Value", None),
            **rest,
        }
    )


def _item(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Map an item; a hidden one is out of stock, which keeps it from being recommended."""
    rest = dict(tree)
    out = {
        "item_id": rest.pop("ItemId"),
        "categories": rest.pop("Categories", None),
        "created": rest.pop("Timestamp", None) or None,
        "title": rest.pop("Comment", None),
        "availability": "out_of_stock" if tree.get("IsHidden") is True else None,
    }
    return without_empty({**out, "attributes": without_empty(rest) or None})


def _user(tree: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in tree.items() if key != "UserId"}
    return without_empty({"user_id": tree["UserId"], "attributes": without_empty(rest) or None})

"""Amazon Personalize CSV: interactions, items and users, headers in capitals."""

import csv
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from endcap.events.dialects.base import Record, TableName, failed, kind_of, without_empty
from endcap.events.reading import Source, read_table, split_cells
from endcap.events.validate.faults import Fault

_LEVELS: Final = tuple(f"CATEGORY_L{level}" for level in range(1, 6))
_ITEM_FIELDS: Final = {
    "ITEM_ID": "item_id",
    "PRICE": "price",
    "CREATION_TIMESTAMP": "created",
    "PRODUCT_DESCRIPTION": "description",
    "DESCRIPTION": "description",
    "TITLE": "title",
    "NAME": "title",
    "PRODUCT_NAME": "title",
    "BRAND": "brand",
}


class Personalize:
    """The three CSV schemas of Amazon Personalize, custom columns included."""

    name: ClassVar[str] = "personalize"
    title: ClassVar[str] = "Amazon Personalize CSV"

    def recognise(self, source: Source) -> float:
        """Return 0.95 for interactions, 0.9 for items and users: ids and all names in capitals."""
        columns = _columns(source)
        capitals = all(column == column.upper() for column in columns)
        if not capitals or not columns & {"USER_ID", "ITEM_ID"}:
            return 0.0
        return 0.95 if {"USER_ID", "ITEM_ID", "TIMESTAMP"} <= columns else 0.9

    def read(self, source: Source) -> Iterator[Record]:
        """Yield the rows of whichever schema the header is of."""
        columns = _columns(source)
        table: TableName = (
            "items" if "USER_ID" not in columns else "events" if "ITEM_ID" in columns else "users"
        )
        mapped = {"events": _event, "items": _item, "users": _user}[table]
        for piece in read_table(source, delimiter=","):
            if type(piece.content) is Fault:
                yield failed(table, piece)
            else:
                yield Record(table, piece.line, without_empty(mapped(piece.content)), piece.raw)


def _columns(source: Source) -> set[str]:
    try:
        return {cell.strip() for cell in split_cells(source.first_line, ",")}
    except csv.Error:
        return set()


def _event(row: Mapping[str, str]) -> dict[str, Any]:
    rest = dict(row)
    shown = rest.pop("IMPRESSION", "")
    return {
        "user_id": rest.pop("USER_ID", None),
        "item_id": rest.pop("ITEM_ID", None),
        "time": rest.pop("TIMESTAMP", None),
        "kind": kind_of(rest.pop("EVENT_TYPE", "view")),
        "value": rest.pop("EVENT_VALUE", None),
        "request_id": rest.pop("RECOMMENDATION_ID", None),
        "shown": shown.split("|") if shown else None,
        **{key.lower(): value for key, value in rest.items()},
    }


def _item(row: Mapping[str, str]) -> dict[str, Any]:
    rest = dict(row)
    path = [rest.pop(level, "") for level in _LEVELS]
    several = [name for name in rest.pop("CATEGORIES", "").split("|") if name]
    out: dict[str, Any] = {"categories": [" > ".join(filter(None, path)), *several]}
    for key, value in rest.items():
        field = _ITEM_FIELDS.get(key, key.lower())
        out[key.lower() if field in out else field] = value
    return out


def _user(row: Mapping[str, str]) -> dict[str, Any]:
    return {key.lower(): value for key, value in row.items()}

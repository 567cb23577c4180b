"""RecBole atomic files: ``.inter``, ``.item`` and ``.user``, tab-separated with typed headers."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final

from endcap.events.dialects.base import Record, TableName, failed, kind_of, without_empty
from endcap.events.reading import Source, read_table
from endcap.events.validate.faults import Fault

_TABLES: Final[dict[str, TableName]] = {".inter": "events", ".item": "items", ".user": "users"}
_TYPES: Final = ("token", "token_seq", "float", "float_seq")

_EVENT_FIELDS: Final = {
    **dict.fromkeys(("user_id", "uid", "user"), "user_id"),
    **dict.fromkeys(("item_id", "iid", "item", "artist_id", "business_id", "tracks_id"), "item_id"),
    **dict.fromkeys(("rating", "score", "stars"), "value"),
    **dict.fromkeys(("timestamp", "time", "date"), "time"),
    **dict.fromkeys(("event", "event_type", "behavior", "action"), "kind"),
    **dict.fromkeys(("session_id",), "session_id"),
    **dict.fromkeys(("quantity",), "quantity"),
    **dict.fromkeys(("price",), "price"),
}
_ITEM_FIELDS: Final = {
    **dict.fromkeys(("item_id", "iid", "item", "artist_id", "business_id", "tracks_id"), "item_id"),
    **dict.fromkeys(("title", "movie_title", "item_name", "name", "product_title"), "title"),
    **dict.fromkeys(
        ("class", "genre", "genres", "categories", "category", "item_category"), "categories"
    ),
    **dict.fromkeys(("brand",), "brand"),
    **dict.fromkeys(("price",), "price"),
    **dict.fromkeys(("description",), "description"),
}
_USER_FIELDS: Final = dict.fromkeys(("user_id", "uid", "user"), "user_id")
_FIELDS: Final = {"events": _EVENT_FIELDS, "items": _ITEM_FIELDS, "users": _USER_FIELDS}

Convert = Callable[[str], Any]


class RecBole:
    """Atomic files of the RecBole library."""

    name: ClassVar[str] = "recbole"
    title: ClassVar[str] = "RecBole atomic file"

    def recognise(self, source: Source) -> float:
        """Return 0.95 where every column of the header has one of the four types."""
        if _suffix(source) not in _TABLES:
            return 0.0
        columns = source.first_line.split("\t")
        typed = all(column.strip().rpartition(":")[2] in _TYPES for column in columns)
        return 0.95 if typed else 0.0

    def read(self, source: Source) -> Iterator[Record]:
        """Yield the rows; interactions without rating or event are read as views."""
        table = _TABLES.get(_suffix(source), "events")
        plan = _plan(source.first_line.split("\t"), table)
        default = _default_kind({field for field, _ in plan.values()}, table)
        for piece in read_table(source, delimiter="\t", quoted=False):
            if type(piece.content) is Fault:
                yield failed(table, piece)
                continue
            row: dict[str, Any] = dict(default)
            for column, cell in piece.content.items():
                field, convert = plan[column]
                row[field] = convert(cell)
            if "kind" in row:
                row["kind"] = kind_of(row["kind"])
            yield Record(table, piece.line, without_empty(row), piece.raw)


def _suffix(source: Source) -> str:
    return source.name[source.name.rfind(".") :] if "." in source.name else ""


def _plan(columns: list[str], table: TableName) -> dict[str, tuple[str, Convert]]:
    """Return the field and the conversion of each column."""
    plan: dict[str, tuple[str, Convert]] = {}
    for given in columns:
        column = given.strip().strip("\ufeff")
        name, _, kind = column.rpartition(":")
        field = _FIELDS[table].get(name, name)
        plan[column] = (field, _conversion(kind, field))
    return plan


def _conversion(kind: str, field: str) -> Convert:
    if field == "categories":
        return str.split
    if kind == "token_seq" and field in {"title", "description"}:
        return str.strip
    if kind == "token_seq":
        return str.split
    if kind == "float_seq":
        return lambda cell: [_number(part) for part in cell.split()]
    return _number if kind == "float" and field not in {"time", "price"} else str.strip


def _number(cell: str) -> Any:
    """Return the number, or the text where it is none (validation then says so)."""
    try:
        return float(cell)
    except ValueError:
        return cell


def _default_kind(fields: set[str], table: TableName) -> dict[str, str]:
    if table != "events" or "kind" in fields:
        return {}
    return {"kind": "rating" if "value" in fields else "view"}

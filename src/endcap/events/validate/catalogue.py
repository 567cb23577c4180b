"""The rules for the catalogue and for users; as in `events`, nothing is dropped or changed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import pyarrow as pa

from endcap.events.validate import cells
from endcap.events.validate.cells import Parse
from endcap.events.validate.columns import (
    Row,
    parse_columns,
    parse_extras,
    to_table,
)
from endcap.events.validate.events import RowError
from endcap.events.validate.faults import Fault, Refused, show
from endcap.events.validate.quarantine import Broken, quarantine_table
from endcap.events.validate.times import parse_time
from endcap.schema.tables import ITEMS, USERS

MAX_CATEGORIES: Final = 1000
_SCHEME: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.\-]*):")
_category: Final = cells.Text(1024)


@dataclass(frozen=True, slots=True)
class CheckedItems:
    """Catalogue rows after validation: `items` of schema `ITEMS`, the rest quarantined."""

    items: pa.Table
    quarantine: pa.Table
    errors: list[RowError]


@dataclass(frozen=True, slots=True)
class CheckedUsers:
    """User rows after validation: `users` of schema `USERS`, the rest quarantined."""

    users: pa.Table
    quarantine: pa.Table
    errors: list[RowError]


def check_items(
    rows: Sequence[Row],
    *,
    now: datetime,
    source: str,
    lines: Sequence[int] | None = None,
    payloads: Sequence[Any] | None = None,
) -> CheckedItems:
    """Validate rows of the catalogue; unknown fields go into `attributes`.

    Categories are a list of paths, a JSON list, or one path such as ``"Home > Lights"``.
    Parameters as in `check`.
    """
    table = _Table("items", "item_id", ITEMS, _ITEM_PARSERS)
    return CheckedItems(
        *_check(table, rows, now=now, source=source, lines=lines, payloads=payloads)
    )


def check_users(
    rows: Sequence[Row],
    *,
    now: datetime,
    source: str,
    lines: Sequence[int] | None = None,
    payloads: Sequence[Any] | None = None,
) -> CheckedUsers:
    """Validate users; unknown fields go into `attributes`. Parameters as in `check`."""
    table = _Table("users", "user_id", USERS, _USER_PARSERS)
    return CheckedUsers(
        *_check(table, rows, now=now, source=source, lines=lines, payloads=payloads)
    )


def parse_categories(value: Any) -> list[str] | None:
    """Return category paths from a list, a JSON list or a single path; None when there are none."""
    if isinstance(value, str):
        value = _category_list(value)
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        raise Refused("wrong-type", f"{show(value)} is no list of categories.")
    if len(value) > MAX_CATEGORIES:
        raise Refused("too-long", f"{len(value)} categories, limit {MAX_CATEGORIES}.")
    paths = [_path(entry) for entry in value]
    return list(dict.fromkeys(path for path in paths if path)) or None


def _category_list(text: str) -> list[Any]:
    if not text.lstrip().startswith("["):
        return [text]
    try:
        tree = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return [text]  # a name such as "[New] Lamps"
    return tree if isinstance(tree, list) else [text]


def _path(entry: Any) -> str | None:
    if isinstance(entry, list | tuple):
        return " > ".join(part for part in map(_path, entry) if part) or None
    name: str | None = _category(entry)
    return None if name is None else " > ".join(part.strip() for part in name.split(">"))


def _link(value: Any) -> str | None:
    """Return a web address; other schemes (``javascript:``) could run in the shopper's browser."""
    address: str | None = cells.Text(2048)(value)
    scheme = _SCHEME.match(address) if address else None
    if scheme and scheme.group(1).lower() not in {"http", "https"}:
        raise Refused("bad-url", f"{show(address)} is no web address (http or https).")
    return address


def parse_relations(value: Any) -> str | None:
    """Return the canonical text of what an item is tied to; a target that is an object has a name.

    ``{"director": {"name": "David Lynch", "worked_with": ["Laura Dern"]}}``
    """
    tree = cells.json_object(value)
    open_ = [("relations", tree)]
    while open_:
        where, said = open_.pop()
        for relation, targets in (said or {}).items():
            for target in targets if isinstance(targets, list) else [targets]:
                if isinstance(target, dict):
                    _check_name(target, f"{where}.{relation}")
                    open_.append((f"{where}.{relation}", target))
    return cells.json_text(tree)


def _check_name(target: dict[str, Any], where: str) -> None:
    name = target.get("name")
    if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
        raise Refused("missing-name", f"{where}: {show(target)} has no name.")


_ITEM_PARSERS: Final[dict[str, Parse]] = {
    "item_id": cells.Id(),
    "group_id": cells.Text(cells.MAX_ID),
    "domain": cells.Text(cells.MAX_ID),
    "title": cells.Text(4096),
    "description": cells.Text(65_536),
    "categories": parse_categories,
    "brand": cells.Text(1024),
    "price": cells.money,
    "sale_price": cells.money,
    "cost": cells.money,
    "currency": cells.currency,
    "availability": cells.availability,
    "stock": cells.whole(-(10**9), 10**12),
    "image": _link,
    "url": _link,
    "relations": parse_relations,
    "created": parse_time,
    "expires": parse_time,
}

_USER_PARSERS: Final[dict[str, Parse]] = {
    "user_id": cells.Id(cells.NO_PERSON),
    "consent": cells.Text(cells.MAX_ID),
}


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    key: str
    schema: pa.Schema
    parsers: Mapping[str, Parse]


def _check(
    table: _Table,
    rows: Sequence[Row],
    *,
    now: datetime,
    source: str,
    lines: Sequence[int] | None,
    payloads: Sequence[Any] | None,
) -> tuple[pa.Table, pa.Table, list[RowError]]:
    faults: dict[int, Fault] = {}
    columns = parse_columns(rows, table.parsers, faults)
    columns |= parse_extras(rows, frozenset(table.schema.names), "attributes", faults)
    missing = Fault("missing-id", f"The row has no {table.key}.", table.key)
    for index, key in enumerate(columns.get(table.key) or [None] * len(rows)):
        if key is None:
            faults.setdefault(index, missing)
    bad = sorted(faults.items())
    broken = [
        Broken(table.name, lines[i] if lines else i + 1, f, payloads[i] if payloads else rows[i])
        for i, f in bad
    ]
    return (
        to_table(table.schema, columns, [index not in faults for index in range(len(rows))]),
        quarantine_table(broken, source=source, received=now),
        [RowError(i, None, f.field, f.reason, f.detail) for i, f in bad],
    )

"""What a page shows of each item, kept by columns: a dictionary for each item takes ten times that.

Most items of a large catalogue are seldom shown; what is asked for is put together then.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import pyarrow as pa

SHOWN: Final = ("title", "price", "sale_price", "currency", "image", "url", "brand", "categories")
KEPT: Final = 20_000
"""Items that were asked for and stay as dictionaries."""
MONEY: Final = frozenset({"price", "sale_price"})


class Facts:
    """Item id -> plain, JSON-ready values, in the order of `SHOWN`; what is unset is missing.

    Change it under a lock of your own; it may be read meanwhile.

    Parameters
    ----------
    items
        The catalogue so far, schema `ITEMS`.

    Examples
    --------
    >>> facts = Facts(pa.table({"item_id": ["a"], "title": ["Lamp"], "brand": [None]}))
    >>> facts.of(["a", "b"])
    {'a': {'title': 'Lamp'}}
    """

    def __init__(self, items: pa.Table) -> None:
        columns = {name: _shown(items[name]) for name in SHOWN if name in items.column_names}
        self._columns = {n: c for n, c in columns.items() if c.null_count < len(c)}
        self._row_of = {item_id: row for row, item_id in enumerate(items["item_id"].to_pylist())}
        self._later: dict[str, dict[str, Any]] = {}
        self._asked: dict[str, dict[str, Any]] = {}

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._later or item_id in self._row_of

    def __iter__(self) -> Iterator[str]:
        yield from (item_id for item_id in self._row_of if item_id not in self._later)
        yield from self._later

    def __len__(self) -> int:
        return len(self._row_of.keys() | self._later.keys())

    def of(self, item_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return what is known of some items; those that are not there are missing."""
        found = ((item_id, self._fact(item_id)) for item_id in item_ids)
        return {item_id: fact for item_id, fact in found if fact is not None}

    def upsert(self, items: pa.Table) -> None:
        """Take in new or changed items, rows of schema `ITEMS`."""
        self._later.update(facts_of(items))  # it counts more than what was asked before

    def delete(self, item_ids: Iterable[str]) -> None:
        """Forget items."""
        for item_id in item_ids:
            self._row_of.pop(item_id, None)
            self._later.pop(item_id, None)

    def _fact(self, item_id: str) -> dict[str, Any] | None:
        later = self._later.get(item_id)
        row = self._row_of.get(item_id)
        if later is not None or row is None:
            return later
        asked = self._asked.get(item_id)
        if asked is not None:
            return asked
        told = ((name, column[row].as_py()) for name, column in self._columns.items())
        fact = {
            name: _money(value) if name in MONEY else value for name, value in told if _said(value)
        }
        if len(self._asked) >= KEPT:
            self._asked = {}
        self._asked[item_id] = fact
        return fact


def facts_of(items: pa.Table) -> dict[str, dict[str, Any]]:
    """Return what a page shows of items (schema `ITEMS`): item id -> plain, JSON-ready values."""
    return Facts(items).of(items["item_id"].to_pylist())


def _shown(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole.cast(pa.string()) if pa.types.is_decimal(whole.type) else whole


def _money(text: str) -> str:
    """Return money with at least two digits behind the point: 2.5000 -> "2.50"."""
    whole, _, part = text.rstrip("0").partition(".")
    return f"{whole}.{part:0<2}"


def _said(value: Any) -> bool:
    return value is not None and value != []

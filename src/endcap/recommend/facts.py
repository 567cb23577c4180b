"""What a page shows of each item, kept by columns: a dictionary for each item takes ten times that.

Most items of a large catalogue are seldom shown; what is asked for is put together then.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
        columns = {name: _shown(name, items[name]) for name in SHOWN if name in items.column_names}
        self._readers = [(n, _reader(c)) for n, c in columns.items() if c.null_count < len(c)]
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
        fact = {}
        for name, read in self._readers:
            value = read(row)
            if value is not None and value != []:
                fact[name] = value
        if len(self._asked) >= KEPT:
            self._asked = {}
        self._asked[item_id] = fact
        return fact


def facts_of(items: pa.Table) -> dict[str, dict[str, Any]]:
    """Return what a page shows of items (schema `ITEMS`): item id -> plain, JSON-ready values."""
    return Facts(items).of(items["item_id"].to_pylist())


def _shown(name: str, column: pa.ChunkedArray) -> pa.Array:
    """Return a column as it is read; money with two digits or more: 2.5000 -> "2.50"."""
    whole = column.combine_chunks()
    if name in MONEY:
        plain = whole.cast(pa.decimal128(38, 4)).cast(pa.string())
        return pc.replace_substring_regex(plain, r"(\.\d\d\d*?)0*$", r"\1")
    return whole


def _reader(column: pa.Array) -> Callable[[int], Any]:
    """Return what reads a row; texts from their bytes, in half of Arrow's time."""
    if not isinstance(column, pa.StringArray):
        return lambda row: column[row].as_py()
    _, ends, data = column.buffers()
    starts = memoryview(ends).cast("i")[column.offset :]
    content = memoryview(data or b"")
    missing = frozenset(np.flatnonzero(column.is_null()).tolist())

    def read(row: int) -> str | None:
        return None if row in missing else str(content[starts[row] : starts[row + 1]], "utf-8")

    return read

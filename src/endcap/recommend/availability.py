"""Which items may be shown, kept up to date as the catalogue changes."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from endcap.prepare.vocabulary import Vocabulary

NEVER: Final = 0
ALWAYS: Final = int(np.iinfo(np.int64).max)
Times = npt.NDArray[np.int64]
KEPT_VIEWS: Final = 4
"""Vocabularies followed at once: those of the models that serve, and of the ones just replaced."""


@dataclass(slots=True)
class _View:
    """The rows of one list of ids, with the span of time in which the answer stays the same."""

    until: Times  # (n,) UTC microseconds from which on a row may not be shown
    rows: npt.NDArray[np.int32] | None = None
    since: int = 0
    before: int = 0

    def at(self, now: int) -> npt.NDArray[np.int32]:
        if self.rows is None or not self.since <= now < self.before:
            self.rows = np.flatnonzero(self.until > now).astype(np.int32)
            self.rows.setflags(write=False)
            self.since = now
            self.before = int(self.until[self.rows].min(initial=ALWAYS))
        return self.rows


class Availability:
    """Keeps, for each item, until when it may be shown; safe to share between threads.

    An item may be shown while the catalogue holds it, it is not out of stock (a stock of 0 counts
    as such unless it can be ordered ahead) and its expiry has not come. As long as no catalogue
    was ever given, everything may be shown.

    Parameters
    ----------
    items
        The catalogue so far, schema `ITEMS`.

    Examples
    --------
    >>> shelf = Availability(pa.table({"item_id": ["a", "b"], "stock": [0, 3]}))
    >>> shelf.rows(Vocabulary(["a", "b", "c"]), now=0).tolist()
    [1]
    """

    def __init__(self, items: pa.Table | None = None) -> None:
        self.version = 0
        self._lock = threading.Lock()
        self._until: dict[str, int] = {}
        self._created: dict[str, int] = {}
        self._catalogued = False
        self._views: list[tuple[Vocabulary, _View]] = []
        self._shelf: tuple[list[str], _View] | None = None
        self._ids: tuple[npt.NDArray[np.int32], list[str]] | None = None
        if items is not None:
            self.upsert(items)

    def upsert(self, items: pa.Table) -> None:
        """Take in new or changed items: (some) columns of schema `ITEMS`."""
        ids = items["item_id"].to_pylist()
        until = shown_until(items)
        created = _micros(items, "created", NEVER)
        with self._lock:
            if ids and not self._catalogued:  # from now on, what it does not hold is hidden
                self._catalogued, self._views = True, []
            self._until.update(zip(ids, until.tolist(), strict=True))
            self._created.update(zip(ids, created.tolist(), strict=True))
            self._changed(ids, until)

    def delete(self, item_ids: Iterable[str]) -> None:
        """Take items away: from now on they may not be shown, catalogue or none."""
        ids = list(item_ids)
        with self._lock:
            self._until.update(dict.fromkeys(ids, NEVER))
            self._created.update(dict.fromkeys(ids, NEVER))
            self._changed(ids, np.full(len(ids), NEVER, np.int64))

    def rows(self, words: Vocabulary, now: int) -> npt.NDArray[np.int32]:
        """Return the rows of `words` that may be shown at `now` (UTC µs), int32, rising."""
        with self._lock:
            return self._view(words).at(now)

    def among(self, item_ids: Iterable[str], now: int) -> list[str]:
        """Return those of some items that may be shown at `now`, in their order."""
        with self._lock:
            default = NEVER if self._catalogued else ALWAYS
            return [i for i in item_ids if self._until.get(i, default) > now]

    def ids(self, now: int) -> Sequence[str]:
        """Return what the catalogue may show at `now`, newest first, then by id."""
        with self._lock:
            if self._shelf is None:
                order = sorted(self._until, key=lambda i: (-self._created[i], i))
                self._shelf = order, _View(np.array([self._until[i] for i in order], np.int64))
            order, view = self._shelf
            rows = view.at(now)
            if self._ids is None or self._ids[0] is not rows:
                self._ids = rows, [order[row] for row in rows]
            return self._ids[1]

    def _view(self, words: Vocabulary) -> _View:
        for known, view in self._views:
            if known is words:
                return view
        default = NEVER if self._catalogued else ALWAYS
        until = np.fromiter(
            (self._until.get(item_id, default) for item_id in words.array.to_pylist()),
            np.int64,
            len(words),
        )
        self._views = [(words, _View(until)), *self._views][:KEPT_VIEWS]
        return self._views[0][1]

    def _changed(self, ids: list[str], until: Times) -> None:
        self.version += 1
        self._shelf = None
        for words, view in self._views:
            rows = np.fromiter((words.row(item_id) for item_id in ids), np.int32, len(ids))
            view.until[rows[rows >= 0]] = until[rows >= 0]
            view.rows = None


def shown_until(items: pa.Table) -> Times:
    """Return until when each row of `items` may be shown, UTC µs, int64: 0 is never.

    Only the columns that are there are asked; what is unknown does not hide an item.
    """
    until = _micros(items, "expires", ALWAYS)
    state = _column(items, "availability", pa.string())
    ahead = pc.fill_null(pc.is_in(state, pa.array(["preorder", "backorder"])), False)
    empty = pc.fill_null(pc.less_equal(_column(items, "stock", pa.int64()), 0), False)
    out = pc.or_(
        pc.fill_null(pc.equal(state, "out_of_stock"), False), pc.and_(empty, pc.invert(ahead))
    )
    return np.where(out.to_numpy(zero_copy_only=False), NEVER, until)


def _micros(items: pa.Table, name: str, default: int) -> Times:
    column = _column(items, name, pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return np.asarray(pc.fill_null(column, default).to_numpy(zero_copy_only=False), np.int64)


def _column(items: pa.Table, name: str, kind: pa.DataType) -> Any:
    if name not in items.column_names:
        return pa.nulls(items.num_rows, kind)
    return items[name].cast(kind).combine_chunks()

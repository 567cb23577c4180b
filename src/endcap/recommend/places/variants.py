"""Variants of one product: one of them is shown, one that is in stock."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import msgspec
import numpy as np
import numpy.typing as npt

from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.filters.columns import UNKNOWN_ROW, Columns, Rows, TextColumn
from endcap.recommend.filters.kinds import ATTRIBUTES
from endcap.recommend.shelf import Pick

GROUP = "group_id"
AT_ONCE = 64
"""Picks that are looked at together: no more are taken than are wanted."""
OnShelf = Callable[[Sequence[str]], Sequence[str]]
"""Returns those of some items that may be shown, in their order."""


@dataclass(slots=True)
class Variants:
    """What is a variant of what, for one slate; it belongs to one call and ends with it.

    Attributes
    ----------
    columns
        The catalogue, whose ``group_id`` names the product of a variant.
    codes
        int32 (rows of the catalogue,): the product of each item, 0 where it has none.
    on_shelf
        What may be shown at this moment.
    shown
        Products that have their variant on the slate.
    """

    columns: Columns
    codes: Rows
    on_shelf: OnShelf
    shown: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, columns: Columns, on_shelf: OnShelf) -> "Variants | None":
        """Return what the catalogue says; None where it knows no products of variants."""
        with columns.lock:
            column = columns.columns[GROUP]
            assert isinstance(column, TextColumn)
            return cls(columns, column.codes, on_shelf) if len(column.texts) > 1 else None

    def others(self, item_ids: Iterable[str]) -> npt.NDArray[np.bool_]:
        """Return bool (rows of the catalogue,): what is no variant of a product of some items."""
        known = np.unique(self._of(item_ids))
        return ~np.isin(self.codes, known[known > 0])

    def with_sold_out(self, words: Vocabulary, available: Rows) -> Rows:
        """Return `available`, rows of `words`, and those whose product another may stand for."""
        with self.columns.lock:
            view = self.columns.view(words)
        known = np.where(view < len(self.codes), view, UNKNOWN_ROW)
        may = self.codes[known] > 0
        may[available] = True
        return np.flatnonzero(may).astype(np.int32)

    def one_each(self, picks: Iterable[Pick]) -> Iterator[Pick]:
        """Yield the first pick of each product; one that is sold out speaks for its like."""
        left = iter(picks)
        while some := list(islice(left, AT_ONCE)):
            ids = [pick.item_id for pick in some]
            here = set(self.on_shelf(ids))
            for pick, code in zip(some, self._of(ids).tolist(), strict=True):
                if code == 0:
                    yield pick
                elif code not in self.shown:
                    known = pick.item_id in here
                    stands = pick.item_id if known else self._in_stock(pick.item_id, code)
                    if stands:
                        self.shown.add(code)
                        yield pick if known else msgspec.structs.replace(pick, item_id=stands)

    def _of(self, item_ids: Iterable[str]) -> Rows:
        rows = self.columns.rows(item_ids)
        return self.codes[np.where(rows < len(self.codes), rows, UNKNOWN_ROW)]

    def _in_stock(self, item_id: str, code: int) -> str:
        """Return the variant on the shelf that has most in common with an item; "" for none."""
        with self.columns.lock:
            rows = np.flatnonzero(self.codes == code)
            common = self._in_common(int(self.columns.rows([item_id])[0]), rows)
            ids = self.columns.ids(rows[np.argsort(-common, kind="stable")])
        return next(iter(self.on_shelf(ids)), "")

    def _in_common(self, row: int, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return int64 (n,): how many attributes of items are those of one."""
        common = np.zeros(len(rows), np.int64)
        for name, column in self.columns.columns.items():
            if name.startswith(ATTRIBUTES):
                held = column.codes if isinstance(column, TextColumn) else column.values
                common += held[rows] == held[row]
        return common

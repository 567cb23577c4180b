"""Which past purchase speaks for which recommendation, and how far from the bestsellers we are."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from endcap.recommend.slate import Slate

MAX_ROWS: Final = 12


@dataclass(frozen=True, slots=True)
class Evidence:
    """Past items × recommended items.

    Attributes
    ----------
    past, shown
        Item ids: what the shopper met (rows, what speaks most first), and the slate (columns).
    shares
        ``shares[row][column]``: the share of all that speaks for the column's item which comes
        from the row's item, 0 to 1; None where nothing is told.
    """

    past: tuple[str, ...]
    shown: tuple[str, ...]
    shares: tuple[tuple[float | None, ...], ...]


def evidence(slate: Slate) -> Evidence:
    """Return the table of a slate's reasons; empty when its model tells no exact shares."""
    cells: dict[str, dict[str, float]] = defaultdict(dict)
    for item in slate.items:
        for reason in item.reasons:
            if reason.item_id is not None and not math.isnan(reason.share):
                cells[reason.item_id][item.item_id] = reason.share
    past = sorted(cells, key=lambda i: (-sum(cells[i].values()), i))[:MAX_ROWS]
    shown = tuple(item.item_id for item in slate.items)
    return Evidence(tuple(past), shown, tuple(tuple(cells[p].get(s) for s in shown) for p in past))


@dataclass(frozen=True, slots=True)
class LongTail:
    """How popular the shown items are among all that sell.

    Attributes
    ----------
    curve
        (x, y) in 0..1: an item's sales rank against its sales, both on a log scale; at most 64
        points.
    marks
        (item id, x, y, popularity rank from 1) of each shown item that ever sold.
    items
        How many items ever sold.
    """

    curve: tuple[tuple[float, float], ...]
    marks: tuple[tuple[str, float, float, int], ...]
    items: int

    @property
    def tail(self) -> int:
        """How many of the marks lie outside the best-selling tenth."""
        return sum(rank > self.items / 10 for _, _, _, rank in self.marks)


def long_tail(sold: Mapping[str, int], shown: Sequence[str]) -> LongTail:
    """Place the shown items on the curve of sales; `sold` counts each item, most first."""
    counts = list(sold.values())
    total = len(counts)
    if not total:
        return LongTail((), (), 0)
    width, height = math.log(max(total, 2)), math.log1p(counts[0])
    rank_of = {item: rank for rank, item in enumerate(sold)}

    def place(rank: int) -> tuple[float, float]:
        return math.log(rank + 1) / width, math.log1p(counts[rank]) / height

    steps = sorted({round(math.exp(i * math.log(total) / 63)) - 1 for i in range(64)})
    marks = tuple((i, *place(rank_of[i]), rank_of[i] + 1) for i in shown if i in rank_of)
    return LongTail(tuple(place(rank) for rank in steps), marks, total)

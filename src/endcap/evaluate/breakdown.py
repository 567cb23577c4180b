"""Where a model is strong: by how much is known of the user, and how well the item sells."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.evaluate.exam import Exam
from endcap.evaluate.metrics import PerUser
from endcap.models.candidates import Candidates

BANDS: Final = (0, 1, 3, 6, 11, 21, 51)
"""Lower bounds of the bands of history length, in distinct items."""
DECILES: Final = ("cold", *map(str, range(1, 11)))


class Band(NamedTuple):
    """One slice: how much is in it, and the figure there (NaN when it is empty)."""

    label: str
    n: int
    value: float


def by_history(exam: Exam, values: PerUser) -> list[Band]:
    """Return the mean of a per-user metric in each band of history length (distinct items)."""
    length = np.diff(exam.history.indptr)
    place = np.searchsorted(BANDS, length, side="right") - 1
    return _bands(_band_labels(), place, values)


def by_popularity(exam: Exam, lists: Candidates) -> list[Band]:
    """Return the recall of targets in each decile of popularity.

    ``"cold"`` are targets nobody had in training; decile 1 holds the tenth of the sold items
    that sold least, decile 10 the tenth that sold most. `n` counts targets.
    """
    width = len(exam.buyers)
    shown = lists.query_of * width + lists.items
    found = np.isin(exam.targets.owner * width + exam.targets.items, shown)
    place = deciles(exam.buyers)[exam.targets.items]
    return _bands(DECILES, place, found.astype(np.float64))


def places_taken(exam: Exam, lists: Candidates) -> list[Band]:
    """Return the share of all recommended places that each decile of popularity takes."""
    taken = np.bincount(deciles(exam.buyers)[lists.items], minlength=len(DECILES))
    share = taken / max(1, len(lists.items))
    return [Band(*row) for row in zip(DECILES, taken.tolist(), share.tolist(), strict=True)]


def deciles(buyers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0 for items nobody has, else 1 (sells least) to 10 (sells most); ties by row number."""
    out = np.zeros(len(buyers), np.int64)
    sold = np.flatnonzero(buyers)
    order = sold[np.argsort(buyers[sold], kind="stable")]
    out[order] = np.arange(len(order)) * 10 // max(1, len(order)) + 1
    return out


def _bands(labels: Sequence[str], place: npt.NDArray[np.int64], values: PerUser) -> list[Band]:
    counts = np.bincount(place, minlength=len(labels))
    sums = np.bincount(place, values, minlength=len(labels))
    return [
        Band(label, int(n), float(total / n) if n else float("nan"))
        for label, n, total in zip(labels, counts, sums, strict=True)
    ]


def _band_labels() -> list[str]:
    ends = [*(start - 1 for start in BANDS[1:]), None]
    return [
        f"{start}+" if end is None else str(start) if start == end else f"{start}-{end}"
        for start, end in zip(BANDS, ends, strict=True)
    ]

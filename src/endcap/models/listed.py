"""Answers to one query from lists: what a model says of few items costs no look at all the others.

`models.topk` is for dense scores of many queries; a request of a shopper is one query, and most
models speak of some hundred items.
"""

import weakref
from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from endcap.models.candidates import Candidates
from endcap.models.queries import Queries
from endcap.models.topk import fall, push

Rows = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
KEPT: Final = 8
_ALL: Final = np.empty(0, np.bool_)
_GOLDEN: Final = 2654435769
"""The golden ratio times 2^32: neighbouring numbers land far apart (Knuth 6.4)."""


def top_listed(rows: Rows, scores: Floats, query: Queries, k: int) -> Candidates:
    """Return the k best allowed and not excluded of a list of items, for one query.

    Parameters
    ----------
    rows, scores
        int32 and float32 (n,): each item once, in any order; NaN and -inf are never returned.
    """
    most = min(k, len(rows))
    return listed(*_best(rows, scores, most, may_come(query), query.exclude))


def listed(items: Rows, scores: Floats) -> Candidates:
    """Return candidates of one query, which come best first."""
    return Candidates(
        np.array([0, len(items)], np.int64), items, scores, np.zeros(len(items), np.uint8)
    )


def union_of(parts: list[Candidates]) -> Candidates:
    """Return what several proposed for one query, by rising row; scores are NaN."""
    items = np.sort(np.concatenate([part.items for part in parts]))  # np.unique hashes: slower
    items = items[np.append(True, items[1:] != items[:-1])] if len(items) else items
    return listed(items, np.full(len(items), np.nan, np.float32))


def look_up(rising: Rows, scores: Floats, asked: Rows) -> Floats:
    """Return float32 (len(asked),): the score of each item in a rising list, NaN elsewhere."""
    out: Floats = _look_up(rising, scores, asked)
    return out


def first_of(scores: Floats, k: int) -> npt.NDArray[np.int64]:
    """Return the places of the k largest scores above 0, best first, then by place."""
    places: npt.NDArray[np.int64] = _first_of(scores, min(k, len(scores)))
    return places


def cleaned(scores: Floats) -> npt.NDArray[np.float64]:
    """Make what is no number 0, in place; return the largest of each row, 0 where none is above.

    Parameters
    ----------
    scores
        float32 (n, m).
    """
    most: npt.NDArray[np.float64] = _cleaned(scores)
    return most


def may_come(query: Queries) -> Bools:
    """Return bool: whether each row may come; empty where all may, rows beyond the end may not.

    Arrays that nobody can change are remembered: nearly all requests of a shop allow the same.
    """
    if query.allowed is None:
        return _ALL
    if query.allowed.flags.writeable:
        return _mask(query.allowed)
    kept = _masks.kept
    for known, mask in kept:
        if known() is query.allowed:
            return mask
    mask = _mask(query.allowed)
    living = [(known, mask) for known, mask in kept if known() is not None]
    _masks.kept = [(weakref.ref(query.allowed), mask), *living][:KEPT]
    return mask


class _Masks:
    """Allowed rows and their masks; the list is replaced, never changed."""

    def __init__(self) -> None:
        self.kept: list[tuple[weakref.ref[Rows], Bools]] = []


_masks: Final = _Masks()


def _mask(allowed: Rows) -> Bools:
    mask = np.zeros(int(allowed.max(initial=0)) + 1, np.bool_)  # never empty: that allows all
    mask[allowed[allowed >= 0]] = True
    return mask


@numba.njit(cache=True, nogil=True)
def _best(rows, scores, k, may, exclude):  # type: ignore[no-untyped-def]
    """Return items and scores of the k best, best first."""
    items, values = np.empty(k, np.int32), np.empty(k, np.float32)
    banned = np.sort(exclude)
    size, least = 0, np.float32(-np.inf)
    for a in range(len(rows) if k else 0):
        if scores[a] >= least:
            size = offer((values, items), size, scores[a], rows[a], (may, banned))
            least = values[0] if size == k else least
    fall(values, items, size)
    return items[:size], values[:size]


@numba.njit(cache=True, nogil=True)
def offer(heap, size, s, j, rules):  # type: ignore[no-untyped-def]
    """Offer an item to the heap of the best unless it may not come; return the heap's size."""
    (values, items), (may, banned) = heap, rules
    if not s > -np.inf or not is_welcome(j, may, banned):
        return size
    return push(values, items, size, s, j)


@numba.njit(cache=True, nogil=True)
def is_welcome(j, may, banned):  # type: ignore[no-untyped-def]
    """Return whether an item may come (see `may_come`) and is not in a rising list."""
    return (len(may) == 0 or (j < len(may) and may[j])) and place_in(banned, j) < 0


@numba.njit(cache=True, nogil=True)
def place_in(rising, j):  # type: ignore[no-untyped-def]
    """Return where `j` stands in a rising list, -1 where it does not (NumPy's is slow in here)."""
    low, high = 0, len(rising)
    while low < high:
        middle = (low + high) // 2
        if rising[middle] < j:
            low = middle + 1
        else:
            high = middle
    return low if low < len(rising) and rising[low] == j else -1


@numba.njit(cache=True, nogil=True)
def _look_up(rising, scores, asked):  # type: ignore[no-untyped-def]
    out = np.full(len(asked), np.nan, np.float32)
    for a in range(len(asked)):
        at = place_in(rising, asked[a])
        if at >= 0:
            out[a] = scores[at]
    return out


@numba.njit(cache=True, nogil=True)
def _first_of(scores, k):  # type: ignore[no-untyped-def]
    places, values = np.empty(k, np.int32), np.empty(k, np.float32)
    size = 0
    for a in range(len(scores) if k else 0):
        if scores[a] > 0 and (size < k or scores[a] > values[0]):  # an equal one comes later
            size = push(values, places, size, scores[a], a)
    fall(values, places, size)
    return places[:size].astype(np.int64)


@numba.njit(cache=True, nogil=True)
def _cleaned(scores):  # type: ignore[no-untyped-def]
    most = np.zeros(len(scores), np.float64)
    largest = np.float32(np.finfo(np.float32).max)
    for r in range(scores.shape[0]):
        for a in range(scores.shape[1]):
            score = scores[r, a]
            if np.isnan(score):
                scores[r, a] = np.float32(0)
            else:
                most[r] = max(most[r], np.float64(score))
                scores[r, a] = min(max(score, -largest), largest)
    return most


@numba.njit(cache=True, nogil=True)
def slot_of(keys, key):  # type: ignore[no-untyped-def]
    """Return where a key of 0 or more stands, or belongs, in a table of 2^n keys, -1 being none."""
    last = len(keys) - 1
    at = (np.int64(key) * _GOLDEN >> 16) & last
    while keys[at] != -1 and keys[at] != key:
        at = (at + 1) & last
    return at

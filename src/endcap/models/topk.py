"""The best k of each row, ties broken by row number so that answers never depend on chance."""

import numba
import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.models.candidates import Candidates
from endcap.models.queries import Queries


def top_k(scores: npt.NDArray[np.float32], queries: Queries, k: int) -> Candidates:
    """Return the k best allowed and not excluded items of each row of `scores`.

    Parameters
    ----------
    scores
        float32 (n, n_items); NaN and -inf are never returned. Changed in place.
    queries
        The n queries: their exclusions and `allowed` are honoured.
    k
        At most this many; fewer where fewer can be had.
    """
    if len(queries.exclude):
        owner = np.repeat(np.arange(len(queries)), np.diff(queries.exclude_indptr))
        known = queries.exclude >= 0
        scores[owner[known], queries.exclude[known]] = np.nan
    columns = None if queries.allowed is None else rising(queries.allowed)
    scores = np.ascontiguousarray(scores)
    most = min(k, scores.shape[1])
    found = _select(scores, most) if columns is None else _select_among(scores, columns, most)
    return ragged(*found)


def ragged(
    counts: npt.NDArray[np.int64], items: npt.NDArray[np.int32], values: npt.NDArray[np.float32]
) -> Candidates:
    """Return the first ``counts[q]`` of each row of items and scores."""
    if len(counts) == 1:
        items, values = items[0, : counts[0]], values[0, : counts[0]]
    else:
        kept = np.arange(items.shape[1]) < counts[:, None]
        items, values = items[kept], values[kept]
    indptr = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
    return Candidates(indptr, items, values, np.zeros(len(items), np.uint8))


def rising(columns: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return the known columns, rising, each once; as they came where they already are so."""
    if len(columns) and columns[0] >= 0 and (columns[1:] > columns[:-1]).all():
        return columns
    return np.unique(columns[columns >= 0]).astype(np.int32)


def top_of_rows(matrix: sparse.csr_array, k: int) -> sparse.csr_array:
    """Return `matrix` with the k largest positive entries of each row, ties by column."""
    arrays = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data
    data, indices, indptr = _select_sparse(*arrays, min(k, matrix.shape[1]))
    return sparse.csr_array((data, indices, indptr), shape=matrix.shape)


@numba.njit(cache=True, nogil=True)
def _select_sparse(indptr, indices, data, k):  # type: ignore[no-untyped-def]
    n = len(indptr) - 1
    ends = np.zeros(n + 1, np.int64)
    columns = np.empty(len(data), np.int32)
    values = np.empty(len(data), data.dtype)
    for row in range(n):
        at, size = ends[row], 0
        stop = at + min(k, indptr[row + 1] - indptr[row])
        for a in range(indptr[row], indptr[row + 1]):
            if data[a] > 0:
                size = push(values[at:stop], columns[at:stop], size, data[a], indices[a])
        order = np.argsort(columns[at : at + size])
        columns[at : at + size] = columns[at : at + size][order]
        values[at : at + size] = values[at : at + size][order]
        ends[row + 1] = at + size
    return values[: ends[n]], columns[: ends[n]], ends


@numba.njit(cache=True, nogil=True)
def _select(scores, k):  # type: ignore[no-untyped-def]
    """A bounded heap for each row: O(n log k) worst, near O(n) in practice."""
    n, width = scores.shape
    counts, items, values = room(n, k)
    for q in range(n if k else 0):
        row, best, who = scores[q], values[q], items[q]
        size, least = 0, np.float32(-np.inf)
        for j in range(width):
            if row[j] > least:  # an equal one comes later, and ties go to the lower item
                size = push(best, who, size, row[j], j)
                if size == k:
                    least = best[0]
        counts[q] = size
        fall(best, who, size)
    return counts, items, values


@numba.njit(cache=True, nogil=True)
def _select_among(scores, columns, k):  # type: ignore[no-untyped-def]
    """The same over some columns alone, which rise."""
    n = scores.shape[0]
    counts, items, values = room(n, k)
    for q in range(n if k else 0):
        row, best, who = scores[q], values[q], items[q]
        size, least = 0, np.float32(-np.inf)
        for j in columns:
            if row[j] > least:
                size = push(best, who, size, row[j], j)
                if size == k:
                    least = best[0]
        counts[q] = size
        fall(best, who, size)
    return counts, items, values


@numba.njit(cache=True, nogil=True)
def room(n, k):  # type: ignore[no-untyped-def]
    """Return counts, items and scores to be filled: (n,) and twice (n, k)."""
    return np.zeros(n, np.int64), np.zeros((n, k), np.int32), np.zeros((n, k), np.float32)


@numba.njit(cache=True, nogil=True)
def fall(values, items, size):  # type: ignore[no-untyped-def]
    """Put a heap (see `push`) in falling order: the worst goes to the back."""
    for last in range(size - 1, 0, -1):
        s, j = values[last], items[last]
        values[last], items[last] = values[0], items[0]
        _sink(values, items, last, s, j)


@numba.njit(cache=True, nogil=True)
def push(values, items, size, s, j):  # type: ignore[no-untyped-def]
    """Offer (s, j) to a heap of the best, worst at the root; return its new size.

    The heap lives in the first `size` entries of two arrays whose length is its capacity.
    """
    if size == len(values):
        if size and _worse(values[0], items[0], s, j):
            _sink(values, items, size, s, j)
        return size
    at = size
    while at > 0 and _worse(s, j, values[(at - 1) // 2], items[(at - 1) // 2]):
        parent = (at - 1) // 2
        values[at], items[at] = values[parent], items[parent]
        at = parent
    values[at], items[at] = s, j
    return size + 1


@numba.njit(cache=True, nogil=True, inline="always")
def _worse(s, i, t, j):  # type: ignore[no-untyped-def]
    return s < t or (s == t and i > j)


@numba.njit(cache=True, nogil=True)
def _sink(values, items, size, s, j):  # type: ignore[no-untyped-def]
    """Replace the root (the worst) by (s, j) and restore the heap."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and _worse(
            values[child + 1], items[child + 1], values[child], items[child]
        ):
            child += 1
        if not _worse(values[child], items[child], s, j):
            break
        values[at], items[at] = values[child], items[child]
        at = child
    values[at], items[at] = s, j

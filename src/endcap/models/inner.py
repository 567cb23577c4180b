"""The best k by inner product for many queries at once, without a look at most of the items.

Items go from the longest factors to the shortest (LEMP: Teflioudi et al. 2015); by Cauchy-Schwarz
a query is done as soon as its k-th best score exceeds its own length times that of the next item.
"""

from typing import NamedTuple, Self

import numba
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from endcap.models.candidates import Candidates
from endcap.models.parallel import over_blocks
from endcap.models.queries import Queries
from endcap.models.topk import fall, push, ragged, rising, room

BLOCK, TILE = 256, 1024
"""Queries and items multiplied at once: their scores stay in the processor's cache."""
CHUNK = 32
"""Scores compared with the k-th best at once."""
Array = npt.NDArray[np.float32]


class Product(NamedTuple):
    """Scores that are inner products of float32 factors: ``x_q . y_j``.

    Attributes
    ----------
    x
        (n, d), of the queries; NaN where nothing can be said.
    y
        (n_items, d).
    known
        bool (n_items,): the items that can be judged.
    """

    x: Array
    y: Array
    known: npt.NDArray[np.bool_]


class ByLength(NamedTuple):
    """Items from the longest to the shortest.

    Attributes
    ----------
    rows
        int32 (m,): which items.
    y
        float32 (n_items, d), of all items in their own order: each tile is picked out when its
        turn comes, so that nothing of this size is made.
    bounds
        float32 (m,), falling: lengths with room for rounding.
    """

    rows: npt.NDArray[np.int32]
    y: Array
    bounds: Array

    @classmethod
    def of(cls, product: Product, allowed: npt.NDArray[np.int32] | None) -> Self:
        """Put the known items, or those of them that are allowed, in order."""
        among: npt.NDArray[np.integer] = np.flatnonzero(product.known)
        if allowed is not None:
            known = rising(allowed)
            among = known[product.known[known]]
        size = lengths(product.y)[among]
        order = np.argsort(-size, kind="stable")
        # Whatever the order of summing, a float32 product errs by less than d eps |x| |y|.
        error = np.float32(1 + (product.y.shape[1] + 8) * np.finfo(np.float32).eps)
        rows = among[order].astype(np.int32)
        return cls(rows, product.y, size[order] * error)

    def top(self, x: Array, queries: Queries, k: int) -> Candidates:
        """Return the k best not excluded items of each query, ties by row number.

        Time O(n d m) for the m items whose length times the query's reaches its k-th best score;
        memory `BLOCK` x `TILE` scores for each core.

        Parameters
        ----------
        x
            float32 (n, d), as in `Product`.
        """
        k = min(k, len(self.rows))
        size, found = lengths(x), room(len(queries), k)
        hidden = _sorted(queries.exclude_indptr, queries.exclude)

        def block(first: int, last: int) -> None:
            span, ends = slice(first, last), queries.exclude_indptr[first : last + 1]
            part = tuple(array[span] for array in found)
            _search((x[span], size[span]), self, (ends, hidden), part)

        with threadpool_limits(1, "blas"):  # the cores are busy with blocks already
            over_blocks(len(queries) if k else 0, BLOCK, block)
        return ragged(*found)


def lengths(factors: Array) -> Array:
    """Return float32 (n,): the norm of each row."""
    squares: npt.NDArray[np.float64] = np.einsum("nd,nd->n", factors, factors, dtype=np.float64)
    return np.sqrt(squares).astype(np.float32)


def _search(
    asked: tuple[Array, Array],
    against: ByLength,
    hidden: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]],
    found: tuple[npt.NDArray[np.generic], ...],
) -> None:
    """Write the best of a block of queries to the views `found`: counts, rows and scores."""
    (near, size), (rows, y, bounds) = asked, against
    left, least = np.arange(len(near)), np.full(len(near), np.finfo(np.float32).min)
    space = np.empty(len(near) * TILE, np.float32)
    tile = np.empty((TILE, y.shape[1]), np.float32)
    for start in range(0, len(rows), TILE):
        stop = min(start + TILE, len(rows))
        kept = size[left] * bounds[start] >= least[left]
        if not kept.all():
            left, near = left[kept], near[kept]
        if not len(left):
            break
        scores = space[: len(left) * (stop - start)].reshape(len(left), stop - start)
        part = np.take(y, rows[start:stop], axis=0, out=tile[: stop - start], mode="clip")
        np.matmul(near, part.T, out=scores)
        _offer(scores, rows[start:stop], (left, least), hidden, found)
    _finish(*found)


@numba.njit(cache=True, nogil=True)
def _sorted(indptr, items):  # type: ignore[no-untyped-def]
    """Return `items` with each row rising."""
    out = items.copy()
    for q in range(len(indptr) - 1):
        out[indptr[q] : indptr[q + 1]].sort()
    return out


@numba.njit(cache=True, nogil=True, fastmath={"nnan", "reassoc", "contract", "nsz"})
def _reaches(row, least):  # type: ignore[no-untyped-def]
    """Tell whether any score of a chunk is at least that, with no branch for each."""
    found = 0
    for j in range(len(row)):
        found += row[j] >= least
    return found > 0


@numba.njit(cache=True, nogil=True)
def _offer(scores, rows, asked, hidden, found):  # type: ignore[no-untyped-def]
    """Put a tile of scores into the heaps of the queries that are left."""
    (left, least), (indptr, exclude), (counts, items, values) = asked, hidden, found
    width = scores.shape[1]
    for a in range(len(left)):
        q = left[a]
        row, out = scores[a], exclude[indptr[q] : indptr[q + 1]]
        best, who, size, low = values[q], items[q], counts[q], least[q]
        for start in range(0, width, CHUNK):
            stop = min(start + CHUNK, width)
            if not _reaches(row[start:stop], low):
                continue
            for j in range(start, stop):
                if row[j] >= low:
                    at = np.searchsorted(out, rows[j])
                    if at < len(out) and out[at] == rows[j]:
                        continue
                    size = push(best, who, size, row[j], rows[j])
                    if size == len(best):
                        low = best[0]
        counts[q], least[q] = size, low


@numba.njit(cache=True, nogil=True)
def _finish(counts, items, values):  # type: ignore[no-untyped-def]
    for q in range(len(counts)):
        fall(values[q], items[q], counts[q])

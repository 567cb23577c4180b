"""A second step of a walk, the largest entries of each row alone."""

import numba
import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.models.parallel import over_blocks
from endcap.models.topk import push
from endcap.models.weighting import parts
from endcap.schema.progress import Progress, silent

BLOCK = 512
"""Rows that one kernel call walks from."""


def onward(
    pairs: sparse.csr_array,
    share: float,
    column: npt.NDArray[np.floating],
    k: int,
    progress: Progress = silent,
) -> sparse.csr_array:
    """Return the k largest of each row of ``(T + share R T)_ij column_j``, i = j left out.

    R is T with rows that sum to 1. The whole product would fill the square of the items where
    histories are long: here one row of it is held at a time. Time O(sum over entries ij of T of
    the entries of row j), memory O(items x k).

    Parameters
    ----------
    pairs
        T: CSR (n, n), no entry below 0.
    share
        Of the second step beside the first.
    column
        float (n,) factors, above 0.
    k
        Entries kept of each row, those above 0; ties go to the lower column.

    Returns
    -------
    CSR float32 (n, n), columns rising, without the factor of the column.
    """
    n = pairs.shape[0]
    arrays, factors = parts(pairs), column.astype(np.float32)

    def block(start: int, stop: int) -> sparse.csr_array:
        found = _walk((start, stop), arrays, np.float32(share), factors, min(k, n))
        return sparse.csr_array(found, shape=(stop - start, n))

    blocks = over_blocks(n, BLOCK, block, progress, "second step")
    return sparse.vstack([sparse.csr_array((0, n), dtype=np.float32), *blocks], "csr")


@numba.njit(cache=True, nogil=True)
def _walk(span, pairs, share, column, k):  # type: ignore[no-untyped-def]
    """Return CSR parts of some rows: what is reached is summed in one row, then emptied."""
    (start, stop), (indptr, items, values) = span, pairs
    sums = np.zeros(len(column), np.float32)
    reached = np.empty(len(column), np.int32)
    best, who = np.empty(k, np.float32), np.empty(k, np.int32)
    ends = np.zeros(stop - start + 1, np.int64)
    near = np.empty((stop - start) * k, np.int32)
    told = np.empty((stop - start) * k, np.float32)
    for i in range(start, stop):
        total = values[indptr[i] : indptr[i + 1]].sum()
        count = _add((indptr[i], indptr[i + 1]), pairs, np.float32(1), sums, reached, 0)
        for a in range(indptr[i], indptr[i + 1]):
            weight = np.float32(share * values[a] / total)
            one = indptr[items[a]], indptr[items[a] + 1]
            if weight > 0:
                count = _add(one, pairs, weight, sums, reached, count)
        size, least = 0, np.float32(0)
        for j in reached[:count]:
            if j != i and sums[j] * column[j] >= least:
                size = push(best, who, size, sums[j] * column[j], j)
                least = best[0] if size == k else least
        at = ends[i - start]
        chosen = np.sort(who[:size])
        near[at : at + size] = chosen
        told[at : at + size] = sums[chosen]
        sums[reached[:count]] = 0
        ends[i - start + 1] = at + size
    return told[: ends[-1]], near[: ends[-1]], ends


@numba.njit(cache=True, nogil=True, inline="always")
def _add(entries, pairs, weight, sums, reached, count):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Add a row times `weight`; return how many were reached now, each of which is listed once."""
    _, items, values = pairs
    for b in range(entries[0], entries[1]):
        j = items[b]
        if values[b] > 0:
            if sums[j] == 0:
                reached[count] = j
                count += 1
            sums[j] += weight * values[b]
    return count

"""The nearest neighbours of every item, without an items x items matrix at any time."""

import numba
import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.models.parallel import over_blocks
from endcap.models.topk import push
from endcap.models.weighting import parts
from endcap.schema.progress import Progress, silent

BLOCK = 512
"""Items whose neighbours are sought by one kernel call."""
SPARSE = 4
"""An item whose people took fewer than a fourth of all items, counted again each time, is answered
from the list of what they took; another from a look at everything."""


def nearest(
    columns: sparse.csr_array,
    scale: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float],
    k: int,
    progress: Progress = silent,
) -> sparse.csr_array:
    """Return CSR float32 (items, items): for each item its k nearest others, where above 0.

    ``s(i, j) = x_i . x_j / (left_i right_j + shrink)``, ties by row number. Time O(sum over users
    of items^2), memory O(items x k).

    Parameters
    ----------
    columns
        CSR (items, users): the vectors x.
    scale
        float64 (items,) left and right, which divide a product by its item and by its neighbour;
        and shrink.
    """
    width = columns.shape[0]
    arrays = parts(columns), parts(columns.T.tocsr())

    def block(start: int, stop: int) -> sparse.csr_array:
        found = _nearest_rows((start, stop), *arrays, scale, min(k, width))
        return sparse.csr_array(found, shape=(stop - start, width))

    blocks = over_blocks(width, BLOCK, block, progress, "neighbours")
    return sparse.vstack([sparse.csr_array((0, width), dtype=np.float32), *blocks], "csr")


@numba.njit(cache=True, nogil=True)
def _nearest_rows(span, columns, by_user, scale, k):  # type: ignore[no-untyped-def]
    """Return CSR parts of the k nearest of the rows of a span; one accumulator, no dense block.

    Sums are float32, so that they stay in the second-level cache at catalogues of a shop's size.
    """
    (start, stop), (left, right, shrink) = span, scale
    (indptr, users, data), (user_indptr, items, user_data) = columns, by_user
    width = len(left)
    right = right.astype(np.float32)
    sums = np.zeros(width, np.float32)
    touched = np.empty(width, np.int32)
    best, who = np.empty(k, np.float32), np.empty(k, np.int32)
    ends = np.zeros(stop - start + 1, np.int64)
    near = np.empty((stop - start) * k, np.int32)
    values = np.empty((stop - start) * k, np.float32)
    for i in range(start, stop):
        work = 0
        for a in range(indptr[i], indptr[i + 1]):
            work += user_indptr[users[a] + 1] - user_indptr[users[a]]
        for a in range(indptr[i], indptr[i + 1]):
            u, w = users[a], data[a]
            for b in range(user_indptr[u], user_indptr[u + 1]):
                sums[items[b]] += w * user_data[b]
        sums[i] = 0.0
        one = np.float32(left[i]), np.float32(shrink)
        if work * SPARSE < width:
            count = _touched(sums, users[indptr[i] : indptr[i + 1]], user_indptr, items, touched)
            size = _best_of(sums, touched[:count], right, one, (best, who))
        else:
            size = _best(sums, right, one, (best, who))
        at = ends[i - start]
        order = np.argsort(who[:size])
        near[at : at + size] = who[:size][order]
        values[at : at + size] = best[:size][order]
        ends[i - start + 1] = at + size
    return values[: ends[-1]], near[: ends[-1]], ends


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _best(sums, right, one, heap):  # type: ignore[no-untyped-def]
    """Turn sums into similarities, keep the best, and leave zeros behind."""
    (left, shrink), (best, who) = one, heap
    for j in range(len(sums)):  # a loop by itself: the compiler makes vectors of it
        sums[j] /= left * right[j] + shrink  # 0 / 0, of items that nobody took, is never above
    size, least = 0, np.float32(0.0)
    for j in range(len(sums)):
        if sums[j] > least:
            size = push(best, who, size, sums[j], j)
            if size == len(best):
                least = best[0]  # an equal one comes later, and ties go to the lower row
    sums[:] = 0.0
    return size


@numba.njit(cache=True, nogil=True)
def _best_of(sums, rows, right, one, heap):  # type: ignore[no-untyped-def]
    """As `_best`, where few rows have a sum; they come in any order."""
    (left, shrink), (best, who) = one, heap
    size = 0
    for j in rows:
        if sums[j] > 0:
            size = push(best, who, size, sums[j] / (left * right[j] + shrink), j)
        sums[j] = 0.0
    return size


@numba.njit(cache=True, nogil=True)
def _touched(sums, users, user_indptr, items, touched):  # type: ignore[no-untyped-def]
    """Write the rows with a sum, each once; return how many there are."""
    count = 0
    for u in users:
        for b in range(user_indptr[u], user_indptr[u + 1]):
            j = items[b]
            if sums[j] > 0:
                sums[j] = -sums[j]
                touched[count] = j
                count += 1
    for c in range(count):
        sums[touched[c]] = -sums[touched[c]]
    return count

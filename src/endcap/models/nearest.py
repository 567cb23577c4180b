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
    by_user = columns.T.tocsr()
    width = columns.shape[0]

    def block(start: int, stop: int) -> sparse.csr_array:
        found = _nearest_rows((start, stop), parts(columns), parts(by_user), scale, min(k, width))
        return sparse.csr_array(found, shape=(stop - start, width))

    blocks = over_blocks(width, BLOCK, block, progress, "neighbours")
    return sparse.vstack([sparse.csr_array((0, width), dtype=np.float32), *blocks], "csr")


@numba.njit(cache=True, nogil=True)
def _nearest_rows(span, columns, by_user, scale, k):  # type: ignore[no-untyped-def]
    """Return CSR parts of the k nearest of the rows of a span; one accumulator, no dense block."""
    (start, stop), (left, right, shrink) = span, scale
    (indptr, users, data), (user_indptr, items, user_data) = columns, by_user
    width = len(left)
    sums = np.zeros(width, np.float64)
    seen = np.zeros(width, np.bool_)
    touched = np.empty(width, np.int32)
    ends = np.zeros(stop - start + 1, np.int64)
    near = np.empty((stop - start) * k, np.int32)
    values = np.empty((stop - start) * k, np.float32)
    for i in range(start, stop):
        count = 0
        for a in range(indptr[i], indptr[i + 1]):
            u, w = users[a], data[a]
            for b in range(user_indptr[u], user_indptr[u + 1]):
                j = items[b]
                if not seen[j]:
                    seen[j] = True
                    touched[count] = j
                    count += 1
                sums[j] += w * user_data[b]
        at, size = ends[i - start], 0
        for c in range(count):
            j = touched[c]
            if j != i and sums[j] > 0:
                s = np.float32(sums[j] / (left[i] * right[j] + shrink))
                size = push(values[at : at + k], near[at : at + k], size, s, j)
            sums[j], seen[j] = 0.0, False
        order = np.argsort(near[at : at + size])
        near[at : at + size] = near[at : at + size][order]
        values[at : at + size] = values[at : at + size][order]
        ends[i - start + 1] = at + size
    return values[: ends[-1]], near[: ends[-1]], ends

"""Ridge regression of each target on its own few sources: for catalogues too large to invert."""

import numba
import numpy as np
from scipy import sparse

from endcap.models.cholesky import factor
from endcap.models.parallel import over_blocks
from endcap.models.topk import push
from endcap.models.weighting import parts
from endcap.schema.progress import Progress, silent

BLOCK = 256
"""Targets that one kernel call solves."""


def restricted_ridge(
    gram: sparse.csr_array,
    cross: sparse.csr_array,
    l2: float,
    sources: int,
    progress: Progress = silent,
) -> sparse.csr_array:
    """Return CSR float32 (n, n): column j is ``(G + l2 I)^-1 c_j`` on the best sources of j.

    The best are those with the largest gain alone, ``c_ij^2 / (g_ii + l2)`` with c_ij above 0
    (feature selection as in fsSLIM, Ning & Karypis 2011). Time O(n x sources^3 / 3), memory
    O(n x sources).

    Parameters
    ----------
    gram
        CSR (n, n): sources x sources, symmetric.
    cross
        CSR (n, n): sources x targets.
    """
    by_target = cross.T.tocsr()
    width = gram.shape[0]
    arrays = parts(gram), parts(by_target), gram.diagonal().astype(np.float64) + l2

    def block(start: int, stop: int) -> sparse.csr_array:
        found = _solve((start, stop), *arrays, min(sources, width))
        return sparse.csr_array(found, shape=(stop - start, width))

    blocks = over_blocks(width, BLOCK, block, progress, "targets")
    stacked = sparse.vstack([sparse.csr_array((0, width), dtype=np.float32), *blocks], "csr")
    return sparse.csr_array(stacked.T.tocsr())


@numba.njit(cache=True, nogil=True)
def _solve(span, gram, by_target, diagonal, k):  # type: ignore[no-untyped-def]
    """Return CSR parts of the effects on a span of targets, one row for each."""
    start, stop = span
    indptr, sources, values = by_target
    ends = np.zeros(stop - start + 1, np.int64)
    columns = np.empty((stop - start) * k, np.int32)
    effects = np.empty((stop - start) * k, np.float32)
    gains = np.empty(k, np.float64)
    place = np.full(len(diagonal), -1, np.int64)
    told = np.zeros(len(diagonal), np.float64)
    for j in range(start, stop):
        at, size = ends[j - start], 0
        chosen = columns[at : at + k]
        for a in range(indptr[j], indptr[j + 1]):
            i, c = sources[a], np.float64(values[a])
            told[i] = c
            if c > 0:
                size = push(gains, chosen, size, c * c / diagonal[i], i)
        chosen = chosen[:size]
        chosen[:] = np.sort(chosen)
        effects[at : at + size] = _regress(chosen, told, gram, diagonal, place)
        ends[j - start + 1] = at + size
    return effects[: ends[-1]], columns[: ends[-1]], ends


@numba.njit(cache=True, nogil=True)
def _regress(chosen, told, gram, diagonal, place):  # type: ignore[no-untyped-def]
    """Solve the ridge on the chosen sources; `place` comes and goes full of -1."""
    indptr, others, values = gram
    size = len(chosen)
    a = np.zeros((size, size))
    b = np.empty(size)
    for r in range(size):
        place[chosen[r]] = r
    for r in range(size):
        i = chosen[r]
        for entry in range(indptr[i], indptr[i + 1]):
            c = place[others[entry]]
            if c >= 0:
                a[r, c] = values[entry]
        a[r, r] = diagonal[i]
        b[r] = told[i]
    factor(a, b)
    for r in range(size - 1, -1, -1):
        b[r] /= a[r, r]
        for c in range(r):
            b[c] -= a[r, c] * b[r]
    for r in range(size):
        place[chosen[r]] = -1
    return b

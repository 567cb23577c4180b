"""Conjugate gradients for many small ridge problems that share most of their matrix."""

from contextlib import nullcontext

import numba
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from endcap.models.parallel import over_blocks

BLOCK = 1024
"""Rows solved by one kernel call."""
TOLERANCE = 1e-6
"""A row is solved when its residual is this share of its right side."""
Array = npt.NDArray[np.float32]


def solve_rows(
    matrix: tuple[npt.NDArray[np.integer], ...],
    other: Array,
    normal: tuple[Array, Array],
    start: Array | None = None,
    steps: int = 0,
) -> Array:
    """Return x, float32 (n, d), with ``(base + ridge_r I + sum_i w_ri y_i y_i^T) x_r = sum w y_i``.

    In the eigenvectors of `base` the shared part is a diagonal: a step costs O(len(row) d), not
    O(len(row) d + d^2), and that diagonal is at hand to precondition with (Jacobi). Takács et al.
    2011 take the same steps without the turn. Rows without entries are 0.

    Parameters
    ----------
    matrix
        (indptr, columns, weights) of CSR (n, m); weights of any number type.
    other
        float32 (m, d): the y.
    normal
        base, float32 (d, d), symmetric positive semi-definite (a diagonal one needs no turn);
        and ridge, float32 (n,), above 0.
    start
        float32 (n, d): where to start, which is overwritten by x; None starts at 0.
    steps
        At most so many for each row; 0 goes on to `TOLERANCE`.
    """
    (base, ridge), (indptr, columns, weights) = normal, matrix
    shared, turn = np.diagonal(base).copy(), None
    if not np.array_equal(base, np.diag(shared)):
        shared, turn = turned(base)
        other = other @ turn
    n, d = len(indptr) - 1, other.shape[1]
    x = np.zeros((n, d), np.float32) if start is None else start
    most = steps or 4 * d

    def block(first: int, last: int) -> None:
        rows, part = slice(first, last), x[first:last]
        near = part if turn is None else part @ turn
        entries = indptr[first : last + 1], columns, weights
        _steps(entries, other, (shared, ridge[rows]), (near, most))
        if turn is not None:
            np.matmul(near, turn.T, out=part)

    # The cores are busy with blocks already. A question needs no turn, and no time for this.
    with nullcontext() if turn is None else threadpool_limits(1, "blas"):
        over_blocks(n, BLOCK, block)
    return x


def turned(base: Array) -> tuple[Array, Array]:
    """Return the eigenvalues, float32 (d,), none below 0, and eigenvectors (d, d) of `base`."""
    values, turn = np.linalg.eigh(base.astype(np.float64))
    return np.maximum(values, 0).astype(np.float32), turn.astype(np.float32)


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _steps(matrix, y, normal, run):  # type: ignore[no-untyped-def]
    """Improve x in place."""
    (indptr, columns, weights), (shared, ridge), (x, most) = matrix, normal, run
    d = y.shape[1]
    longest = 0
    for row in range(len(x)):
        longest = max(longest, indptr[row + 1] - indptr[row])
    near, w = np.empty((longest, d), np.float32), np.empty(longest, np.float32)
    residual, inverse = np.empty(d, np.float32), np.empty(d, np.float32)
    p, ap = np.empty(d, np.float32), np.empty(d, np.float32)
    for row in range(len(x)):
        a, n = indptr[row], indptr[row + 1] - indptr[row]
        if n == 0:
            x[row] = 0
            continue
        for i in range(n):
            w[i], column = weights[a + i], columns[a + i]
            for f in range(d):
                near[i, f] = y[column, f]
        for f in range(d):
            p[f] = x[row, f]
        goal = _begin((shared, ridge[row]), near, w, (n, p, residual, inverse))
        rz = np.float32(0)
        for f in range(d):
            p[f] = inverse[f] * residual[f]
            rz += p[f] * residual[f]
        for _ in range(most):
            if rz <= goal:
                break
            _apply((shared, ridge[row]), near, w, (n, p, ap))
            pap = np.float32(0)
            for f in range(d):
                pap += p[f] * ap[f]
            step, after = rz / pap, np.float32(0)
            for f in range(d):
                x[row, f] += step * p[f]
                residual[f] -= step * ap[f]
                after += residual[f] * inverse[f] * residual[f]
            for f in range(d):
                p[f] = inverse[f] * residual[f] + after / rz * p[f]
            rz = after


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _begin(normal, near, w, run):  # type: ignore[no-untyped-def]
    """Write the residual at p and the inverse diagonal; return the squared residual to reach."""
    (shared, ridge), (n, p, residual, inverse) = normal, run
    d = len(p)
    for f in range(d):
        residual[f], inverse[f] = 0.0, shared[f] + ridge
    for i in range(n):
        weight = w[i]
        for f in range(d):
            scaled = weight * near[i, f]
            residual[f] += scaled
            inverse[f] += scaled * near[i, f]
    goal = np.float32(0)
    for f in range(d):
        inverse[f] = 1 / inverse[f]
        goal += residual[f] * inverse[f] * residual[f]
        residual[f] -= (shared[f] + ridge) * p[f]
    for i in range(n):
        s = np.float32(0)
        for f in range(d):
            s += near[i, f] * p[f]
        s *= w[i]
        for f in range(d):
            residual[f] -= s * near[i, f]
    return goal * np.float32(TOLERANCE * TOLERANCE)


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _apply(normal, near, w, run):  # type: ignore[no-untyped-def]
    """Write ``(diag(shared) + ridge I + sum_i w_i y_i y_i^T) p`` to `ap`."""
    (shared, ridge), (n, p, ap) = normal, run
    d = len(p)
    for f in range(d):
        ap[f] = (shared[f] + ridge) * p[f]
    for i in range(n):
        s = np.float32(0)
        for f in range(d):
            s += near[i, f] * p[f]
        s *= w[i]
        for f in range(d):
            ap[f] += s * near[i, f]

"""The factors of a history, for `bpr`: logistic regression against a panel of rivals."""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.models.cholesky import factor
from endcap.models.parallel import over_blocks
from endcap.models.weighting import parts

Array = npt.NDArray[np.float32]
BLOCK = 64


class Rivals(NamedTuple):
    """The panel.

    Attributes
    ----------
    items
        int64 (r,): item rows.
    factors, bias
        float64 (r, d) and (r,).
    mean, square
        float64 (d,) and (d, d): means of the factors and of their outer products.
    """

    items: npt.NDArray[np.int64]
    factors: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    square: npt.NDArray[np.float64]

    @classmethod
    def of(cls, factors: Array, bias: Array, panel: npt.NDArray[np.int32]) -> "Rivals":
        """Gather what the panel's items have."""
        r = factors[panel].astype(np.float64)
        many = max(1, len(panel))
        return cls(
            panel.astype(np.int64),
            r,
            bias[panel].astype(float),
            r.sum(axis=0) / many,
            r.T @ r / many,
        )


def fold_in(
    matrix: sparse.csr_array,
    items: tuple[Array, Array],
    rivals: Rivals,
    settings: tuple[float, int],
) -> Array:
    """Return float32 (n, d): p that minimises what BPR minimises, for given items.

    ``sum_i w_i (mean over rivals j not taken of -log sigmoid(s_i - s_j) + l2 / 2 |p|^2)``. The
    curvature of the logistic is at most a quarter (Boehning 1992): with that bound, whose matrix
    is factored once, steps go down, and momentum makes few of them enough. Time for a history of
    h, O(h d^2 + d^3 + steps ((h + r) d + h r)).

    Parameters
    ----------
    matrix
        CSR float32 (n, n_items): histories.
    items
        Factors and biases.
    settings
        (l2, steps).
    """
    d = items[0].shape[1]
    out = np.zeros((matrix.shape[0], d), np.float32)

    arrays, world = parts(matrix), (*items, tuple(rivals))

    def block(first: int, last: int) -> None:
        _fold((first, last), arrays, world, settings, out)

    over_blocks(matrix.shape[0], BLOCK, block)
    return out


@numba.njit(cache=True, nogil=True)
def _fold(span, matrix, world, settings, out):  # type: ignore[no-untyped-def]
    (indptr, columns, weights), (l2, steps) = matrix, settings
    factors, _, rivals = world
    d = out.shape[1]
    p, ahead, slope = np.empty(d), np.empty(d), np.empty(d)
    for row in range(span[0], span[1]):
        here = slice(indptr[row], indptr[row + 1])
        taken, w = columns[here], weights[here]
        share = _untaken(rivals[0], taken)
        if w.sum() <= 0 or share.sum() == 0:
            continue
        root = _bound(taken, w, factors, rivals, (len(share) * share.max(), l2))
        p[:] = ahead[:] = 0
        for step in range(steps):
            _slope(ahead, (taken, w, share), world, l2 * w.sum(), slope)
            _solve(root, slope, step == 0)
            slope[:] = ahead + 4 * slope - p  # Nesterov 1983: the move, then on in its direction
            p += slope
            ahead[:] = p + step / (step + 3) * slope
        out[row] = p


@numba.njit(cache=True, nogil=True)
def _untaken(panel, taken):  # type: ignore[no-untyped-def]
    """Return float64 (r,): equal shares of those that were not taken, 0 of the others."""
    share = np.ones(len(panel))
    for k in range(len(panel)):
        for i in taken:
            if panel[k] == i:
                share[k] = 0.0
                break
    total = share.sum()
    return share / total if total > 0 else share


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _bound(taken, w, factors, rivals, settings):  # type: ignore[no-untyped-def]
    """Return the lower half of four times a bound on the curvature."""
    (_, _, _, mean, square), (tilt, l2), total = rivals, settings, w.sum()
    d = len(mean)
    bound = tilt * total * square
    for e in range(len(taken)):
        q, heavy = factors[taken[e]], tilt * w[e]
        for f in range(d):
            for g in range(f + 1):
                bound[f, g] += heavy * (q[f] * q[g] - q[f] * mean[g] - q[g] * mean[f])
    for f in range(d):
        bound[f, f] += 4 * (l2 + 1e-6) * total
    return bound


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _slope(p, history, world, ridge, slope):  # type: ignore[no-untyped-def]
    """Write the way down into `slope`."""
    (taken, w, share), (factors, bias, rivals) = history, world
    _, others, others_bias, _, _ = rivals
    d = len(p)
    against, pull = np.empty(len(share)), np.zeros(len(share))
    for k in range(len(share)):
        s = others_bias[k]
        for f in range(d):
            s += p[f] * others[k, f]
        against[k] = s
    slope[:] = -ridge * p
    for e in range(len(taken)):
        q, s, mine = factors[taken[e]], np.float64(bias[taken[e]]), 0.0
        for f in range(d):
            s += p[f] * q[f]
        for k in range(len(share)):
            g = w[e] * share[k] / (1 + np.exp(s - against[k]))
            pull[k] += g
            mine += g
        for f in range(d):
            slope[f] += mine * q[f]
    for k in range(len(share)):
        for f in range(d):
            slope[f] -= pull[k] * others[k, f]


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _solve(root, b, first):  # type: ignore[no-untyped-def]
    """Overwrite `b` with the solution; `root` becomes its Cholesky factor the `first` time."""
    d = len(b)
    if first:
        factor(root, b)
    else:
        for f in range(d):
            for g in range(f):
                b[f] -= root[f, g] * b[g]
            b[f] /= root[f, f]
    for f in range(d - 1, -1, -1):
        b[f] /= root[f, f]
        for g in range(f):
            b[g] -= root[f, g] * b[f]

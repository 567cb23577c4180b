"""EASE for large catalogues: each item's own small ridge problem over its neighbours.

Steck 2019 (arXiv 1905.03375) for the problem; restricted neighbourhoods as in fsSLIM (Ning and
Karypis 2011) and sparse as in Spisak et al. 2023 (SANSA), whose incomplete factor it replaces.
"""

import numba
import numpy as np
import pydantic

from endcap.models.base import Rng
from endcap.models.cholesky import factor
from endcap.models.linear import LinearModel
from endcap.models.near_gram import Lengths, Near, NearSpec, joined
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent


class LocalRidge(NearSpec):
    """Reconstruct an item from its nearest neighbours alone, by ridge regression.

    For item j with neighbours N: ``B_Nj = (G_NN + l2 I)^-1 G_Nj`` with G the Gram matrix of the
    users x items matrix, of which each item's `pairs` largest entries by cosine are kept. With
    all items as neighbours this is EASE. Time O(sum over users of items^2 + items (neighbours^3 +
    neighbours pairs)), memory O(items (pairs + neighbours)): nothing is items x items.

    Stability: caller.
    """

    l2: float = pydantic.Field(default=30.0, gt=0)
    """Ridge: larger trusts frequent pairs more."""
    neighbours: int = pydantic.Field(default=100, ge=1)
    """Neighbours that may speak for an item."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> LinearModel:
        """Solve item by item; `rng` is not used."""

        def solve(span: tuple[int, int], near: Near, lengths: Lengths) -> Near:
            found: Near = _solve_items(span, near, lengths, (self.l2, self.neighbours))
            return found

        return self.learn(data, solve, progress)


@numba.njit(cache=True, nogil=True)
def _solve_items(span, cosine, lengths, settings):  # type: ignore[no-untyped-def]
    """Return CSR parts of the effects on the items of a span."""
    (first, last), (indptr, items, values), (l2, most) = span, cosine, settings
    place = np.full(len(lengths), -1, np.int64)
    out, heard = [np.empty(0, np.float32)], [np.empty(0, np.int32)]
    ends = np.zeros(last - first + 1, np.int64)
    for j in range(first, last):
        row = slice(indptr[j], indptr[j + 1])
        order = np.argsort(-values[row], kind="mergesort")[:most]
        chosen = np.sort(order)
        near, close = items[row][chosen], values[row][chosen]
        m = len(near)
        place[near] = np.arange(m)
        gram, right = np.zeros((m, m)), np.empty(m)
        for p in range(m):
            i = near[p]
            right[p] = close[p] * lengths[i] * lengths[j]
            for b in range(indptr[i], indptr[i + 1]):
                q = place[items[b]]
                if 0 <= q < p:
                    gram[p, q] = values[b] * lengths[i] * lengths[items[b]]
            gram[p, p] = lengths[i] ** 2 + l2
        place[near] = -1
        out.append(_solved(gram, right, l2))
        heard.append(near)
        ends[j - first + 1] = ends[j - first] + m
    return joined(out, ends[-1]), joined(heard, ends[-1]), ends


@numba.njit(cache=True, nogil=True)
def _solved(gram, right, l2):  # type: ignore[no-untyped-def]
    """Solve; a Gram matrix with entries cut out may be indefinite: it gets more ridge."""
    more = l2
    while True:
        root, solution = gram.copy(), right.copy()
        factor(root, solution)
        if np.all(np.isfinite(solution)):
            break
        for p in range(len(right)):
            gram[p, p] += more
        more *= 2
    for p in range(len(right) - 1, -1, -1):
        solution[p] /= root[p, p]
        solution[:p] -= root[p, :p] * solution[p]
    return solution.astype(np.float32)

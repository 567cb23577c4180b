"""EASE for large catalogues: each item's own small ridge problem over its neighbours.

Steck 2019 (arXiv 1905.03375) for the problem; restricted neighbourhoods as in fsSLIM (Ning and
Karypis 2011) and sparse as in Spisak et al. 2023 (SANSA), whose incomplete factor it replaces.
"""

import numba
import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.models.base import Rng
from endcap.models.cholesky import factor
from endcap.models.linear import LinearModel
from endcap.models.nearest import nearest
from endcap.models.parallel import over_blocks
from endcap.models.weighting import HistorySpec, parts, power, rows_of, scale_columns, scale_rows
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent

BLOCK = 256
"""Items solved by one kernel call."""


class LocalRidge(HistorySpec):
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
    pairs: int = pydantic.Field(default=300, ge=1)
    """Entries of each item's row of the Gram matrix that are kept."""
    user_norm: float = pydantic.Field(default=0.0, ge=0, le=2)
    """Weigh a user by (number of their items) ** -this: heavy users count less."""
    item_norm: float = pydantic.Field(default=0.0, ge=0, le=1)
    """Divide an item's column by (number of its users) ** this: the ridge spares the tail."""
    popularity: float = pydantic.Field(default=0.0, ge=-1, le=1)
    """Multiply effects by (users of the target / users of the source) ** this afterwards."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> LinearModel:
        """Solve item by item; `rng` is not used."""
        matrix = self.train_matrix(data)
        users = np.bincount(matrix.indices, minlength=len(data.items))
        x = scale_rows(matrix, power(np.diff(matrix.indptr), -self.user_norm / 2))
        columns = scale_columns(x, power(users, -self.item_norm)).T.tocsr()
        squares = np.bincount(rows_of(columns), columns.data**2.0, columns.shape[0])
        lengths = power(squares, 0.5)
        cosine = nearest(columns, (lengths, lengths, 0.0), self.pairs, progress)
        effects = _effects(cosine, lengths, (self.l2, self.neighbours), progress)
        if self.popularity:
            effects = scale_rows(effects, power(users, -self.popularity))
            effects = scale_columns(effects, power(users, self.popularity))
        rows = np.flatnonzero(users).astype(np.int32)
        return LinearModel(self, data.users, data.items, rows, effects[rows][:, rows])


def _effects(
    cosine: sparse.csr_array,
    lengths: npt.NDArray[np.float64],
    settings: tuple[float, int],
    progress: Progress,
) -> sparse.csr_array:
    """Return CSR float32 (items, items): row i speaks for column j."""
    both = cosine.maximum(cosine.T).tocsr()
    both.sort_indices()

    def block(first: int, last: int) -> sparse.csr_array:
        found = _solve_items((first, last), parts(both), lengths, settings)
        return sparse.csr_array(found, shape=(last - first, len(lengths)))

    blocks = over_blocks(len(lengths), BLOCK, block, progress, "ridge")
    empty = sparse.csr_array((0, len(lengths)), dtype=np.float32)
    return sparse.vstack([empty, *blocks], "csr").T.tocsr()


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
    return _joined(out, ends[-1]), _joined(heard, ends[-1]), ends


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


@numba.njit(cache=True, nogil=True)
def _joined(pieces, total):  # type: ignore[no-untyped-def]
    out, at = np.empty(total, pieces[0].dtype), 0
    for piece in pieces:
        out[at : at + len(piece)] = piece
        at += len(piece)
    return out

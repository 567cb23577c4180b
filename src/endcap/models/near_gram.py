"""What models of near pairs share: the Gram matrix of the items, its largest entries alone."""

from collections.abc import Callable

import numba
import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.models.linear import LinearModel
from endcap.models.nearest import nearest
from endcap.models.parallel import over_blocks
from endcap.models.weighting import (
    HistorySpec,
    parts,
    power,
    row_squares,
    scale_columns,
    scale_rows,
)
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent

BLOCK = 256
"""Items solved by one kernel call."""

Lengths = npt.NDArray[np.float64]
Near = tuple[npt.NDArray[np.integer], ...]
Solve = Callable[[tuple[int, int], Near, Lengths], Near]
"""Given a span of items, CSR parts of the cosines and the lengths: CSR parts of their effects."""


class NearSpec(HistorySpec):
    """Settings of models that explain each item by near ones.

    Stability: implementer.
    """

    pairs: int = pydantic.Field(default=300, ge=1)
    """Entries of each item's row of the Gram matrix that are kept."""
    user_norm: float = pydantic.Field(default=0.0, ge=0, le=2)
    """Weigh a user by (number of their items) ** -this: heavy users count less."""
    item_norm: float = pydantic.Field(default=0.0, ge=0, le=1)
    """Divide an item's column by (number of its users) ** this: the penalty spares the tail."""
    popularity: float = pydantic.Field(default=0.0, ge=-1, le=1)
    """Multiply effects by (users of the target / users of the source) ** this afterwards."""

    def learn(self, data: Dataset, solve: Solve, progress: Progress = silent) -> LinearModel:
        """Return the model whose effects `solve` finds, a block of items at a time."""
        matrix = self.train_matrix(data)
        users = np.bincount(matrix.indices, minlength=len(data.items))
        x = scale_rows(matrix, power(np.diff(matrix.indptr), -self.user_norm / 2))
        columns = scale_columns(x, power(users, -self.item_norm)).T.tocsr()
        effects = _effects(*near_gram(columns, self.pairs, progress), solve, progress)
        if self.popularity:
            effects = scale_rows(effects, power(users, -self.popularity))
            effects = scale_columns(effects, power(users, self.popularity))
        rows = np.flatnonzero(users).astype(np.int32)
        return LinearModel(self, data.users, data.items, rows, effects[rows][:, rows])


def near_gram(
    columns: sparse.csr_array, pairs: int, progress: Progress = silent
) -> tuple[sparse.csr_array, Lengths]:
    """Return the cosines of near items and the items' lengths.

    Parameters
    ----------
    columns
        CSR (items, users).
    pairs
        Entries of each row that are kept, the largest.

    Returns
    -------
    cosine, lengths
        CSR float32 (items, items), symmetric, sorted, no diagonal; and float64 (items,). Entry
        ij of the Gram matrix is ``cosine_ij lengths_i lengths_j``.
    """
    lengths = power(row_squares(columns), 0.5)
    cosine = nearest(columns, (lengths, lengths, 0.0), pairs, progress)
    both = cosine.maximum(cosine.T).tocsr()
    both.sort_indices()
    return both, lengths


def _effects(
    cosine: sparse.csr_array, lengths: Lengths, solve: Solve, progress: Progress
) -> sparse.csr_array:
    """Return CSR float32 (items, items): row i speaks for column j."""
    near = parts(cosine)

    def block(first: int, last: int) -> sparse.csr_array:
        found = solve((first, last), near, lengths)
        return sparse.csr_array(found, shape=(last - first, len(lengths)))

    blocks = over_blocks(len(lengths), BLOCK, block, progress, "items")
    empty = sparse.csr_array((0, len(lengths)), dtype=np.float32)
    return sparse.vstack([empty, *blocks], "csr").T.tocsr()


@numba.njit(cache=True, nogil=True)
def joined(pieces, total):  # type: ignore[no-untyped-def]
    """Return the `pieces`, arrays of one type, end to end: `total` entries."""
    out, at = np.empty(total, pieces[0].dtype), 0
    for piece in pieces:
        out[at : at + len(piece)] = piece
        at += len(piece)
    return out

"""RP3beta: a walk of three steps over who took what, less drawn to bestsellers (Paudel 2017).

Paudel, Christoffel, Newell, Bernstein: Updatable, accurate, diverse, and scalable recommendations
for interactive applications, ACM TiiS 7(1), 2017.
"""

import numpy as np
import pydantic

from endcap.models.base import Rng
from endcap.models.linear import LinearModel
from endcap.models.nearest import Columns, nearest
from endcap.models.weighting import HistorySpec, power, rows_of
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent


class RP3Beta(HistorySpec):
    """Go from a past item to the people who took it, and on to what else they took.

    ``b_ij = sum_u x_ui x_uj / (d_i^alpha d_u^user_alpha d_j^beta)`` with d the sums of rows and
    columns of the users x items matrix x. With ``user_alpha = alpha`` and a binary x these are the
    transition probabilities of the paper, to the power of alpha, over popularity to the power of
    beta; apart, they are the two halves of a walk. Time O(sum over users of items^2), memory
    O(items x neighbours): no items x items matrix exists at any time.

    Stability: caller.
    """

    neighbours: int = pydantic.Field(default=300, ge=1)
    """Neighbours kept for each item; more are a little more accurate, and slower."""
    alpha: float = pydantic.Field(default=0.4, ge=0, le=2)
    """How much a popular past item counts less: its step is divided by d_i ** this."""
    user_alpha: float = pydantic.Field(default=0.75, ge=0, le=2)
    """How much the walk over a heavy user counts less."""
    beta: float = pydantic.Field(default=0.35, ge=-1, le=2)
    """How much popular items are held back in the answer."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> LinearModel:
        """Walk from each item; `rng` is not used."""
        columns = self.train_matrix(data).T.tocsr()
        items = np.bincount(rows_of(columns), columns.data, columns.shape[0])
        users = np.bincount(columns.indices, columns.data, columns.shape[1])
        walks = nearest(
            Columns(columns, user=power(users, -self.user_alpha / 2)),
            (power(items, self.alpha), power(items, self.beta), 0.0),
            self.neighbours,
            progress,
        )
        rows = np.arange(len(data.items), dtype=np.int32)
        return LinearModel(self, data.users, data.items, rows, walks)

"""EASE: the closed-form item-item model (Steck 2019, arXiv 1905.03375)."""

import numpy as np
import numpy.typing as npt
import pydantic

from endcap.models.base import Rng
from endcap.models.inverse import invert
from endcap.models.linear import LinearModel
from endcap.models.weighting import HistorySpec, power, scale_columns, scale_rows
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import ConfigError
from endcap.schema.progress import Progress, silent


class EASE(HistorySpec):
    """Reconstruct each history from itself with a zero diagonal, by ridge regression.

    Minimises ``|X - X B|^2 + l2 |B|^2`` with ``diag(B) = 0``: with ``P = (X^T X + l2 I)^-1``,
    ``B_ij = -P_ij / P_jj``. Time O(items^3), memory two dense items x items float32 matrices,
    over the items that were ever taken. ``item_norm = 0.5`` with ``popularity = 0.5 - alpha`` and
    ``user_norm = beta`` is data-adaptive normalisation (Park et al. 2025, arXiv 2504.05805).

    Stability: caller.
    """

    l2: float = pydantic.Field(default=100.0, gt=0)
    """Ridge: larger trusts frequent pairs more; scale it with the size of the data."""
    user_norm: float = pydantic.Field(default=0.0, ge=0, le=2)
    """Weigh a user by (number of their items) ** -this: heavy users count less."""
    item_norm: float = pydantic.Field(default=0.0, ge=0, le=1)
    """Divide an item's column by (number of its users) ** this: the ridge spares the tail."""
    popularity: float = pydantic.Field(default=0.0, ge=-1, le=1)
    """Multiply effects by (users of the target / users of the source) ** this afterwards."""
    max_items: int = pydantic.Field(default=30_000, ge=1)
    """Refuse more items than this; 30,000 need about 7 GB while fitting."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> LinearModel:
        """Solve; `rng` is not used.

        Raises
        ------
        ConfigError
            When more than `max_items` items were taken.
        """
        matrix = self.train_matrix(data)
        rows = np.unique(matrix.indices).astype(np.int32)
        if len(rows) > self.max_items:
            raise ConfigError(
                f"EASE needs a dense {len(rows):,} x {len(rows):,} matrix; max_items is "
                f"{self.max_items:,}.",
                hint="Raise prepare.item_core or max_items, or use item-knn or ials.",
            )
        progress(0, 2, "gram")
        taken = matrix[:, rows]
        x = scale_rows(taken, power(np.diff(taken.indptr), -self.user_norm / 2))
        users = np.bincount(taken.indices, minlength=len(rows))
        x = scale_columns(x, power(users, -self.item_norm))
        gram = (x.T @ x).toarray(order="C")
        progress(1, 2, "inverse")
        effects = _effects(gram, self.l2)
        if self.popularity:
            effects *= power(users, -self.popularity).astype(np.float32)[:, None]
            effects *= power(users, self.popularity).astype(np.float32)
        progress(2, 2)
        # Rows side by side: a product with a column-major matrix copies it at every question.
        return LinearModel(self, data.users, data.items, rows, np.ascontiguousarray(effects))


def _effects(gram: npt.NDArray[np.float32], l2: float) -> npt.NDArray[np.float32]:
    diagonal = np.diag_indices(len(gram))
    gram[diagonal] += np.float32(l2)
    inverse = invert(gram)
    inverse /= -inverse[diagonal]
    inverse[diagonal] = 0
    return inverse

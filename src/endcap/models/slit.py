"""SLIT: the closed-form next-item model (Choi et al. 2021, arXiv 2103.16104)."""

import numpy as np
import pydantic

from endcap.models.base import Rng
from endcap.models.inverse import invert
from endcap.models.linear import LinearModel
from endcap.models.ordered import windows
from endcap.models.weighting import HistorySpec, power
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import ConfigError
from endcap.schema.progress import Progress, silent


class SLIT(HistorySpec):
    """Predict what comes after every cut of every history from what came before, by ridge.

    Minimises ``|S B - T|^2 + l2 |B|^2`` with S the past and T the future of each cut, both fading
    with the distance to it: ``B = (S^T S + l2 I)^-1 S^T T`` (their equation 8). Order matters here
    and broad taste does not: it complements EASE. Time O(events x window^2 + items^3), memory
    three dense items x items float32 matrices, over the items that were ever taken.

    Stability: caller.
    """

    l2: float = pydantic.Field(default=50.0, gt=0)
    """Ridge: larger trusts frequent pairs more."""
    past_decay: float = pydantic.Field(default=1.5, gt=0)
    """While training, an event counts 1/e after this many newer ones."""
    future_decay: float = pydantic.Field(default=1.0, gt=0)
    """While training, what comes counts 1/e after this many events."""
    decay_events: float = pydantic.Field(default=2.5, ge=0)
    popularity: float = pydantic.Field(default=0.0, ge=-1, le=1)
    """Multiply effects by (users of the target) ** this afterwards."""
    max_items: int = pydantic.Field(default=25_000, ge=1)
    """Refuse more items than this; 25,000 need about 7.5 GB while fitting."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> LinearModel:
        """Solve; `rng` is not used.

        Raises
        ------
        ConfigError
            When more than `max_items` items were taken.
        """
        taken = np.bincount(data.column("item"), minlength=len(data.items))
        rows = np.flatnonzero(taken).astype(np.int32)
        if len(rows) > self.max_items:
            raise ConfigError(
                f"SLIT needs dense {len(rows):,} x {len(rows):,} matrices; max_items is "
                f"{self.max_items:,}.",
                hint="Raise prepare.item_core or max_items, or use transitions.",
            )
        progress(0, 3, "windows")
        past, future = (side[:, rows] for side in windows(data, self.past_decay, self.future_decay))
        gram = (past.T @ past).toarray(order="C")
        gram[np.diag_indices(len(rows))] += np.float32(self.l2)
        progress(1, 3, "inverse")
        inverse = invert(gram)
        progress(2, 3, "solve")
        effects = np.asarray(inverse @ (past.T @ future).toarray(order="C"), np.float32)
        if self.popularity:
            effects *= power(taken[rows], self.popularity).astype(np.float32)
        progress(3, 3)
        return LinearModel(self, data.users, data.items, rows, effects)

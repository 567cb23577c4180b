"""Transitions: what followed what, one and two steps on."""

import numpy as np
import pydantic

from endcap.models.base import Rng
from endcap.models.linear import LinearModel
from endcap.models.onward import onward
from endcap.models.ordered import windows
from endcap.models.weighting import HistorySpec, power, scale_columns, scale_rows
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent


class Transitions(HistorySpec):
    """Count which items followed each item within a fading window, and walk a second step.

    ``T_ij = sum over cuts exp(-(gap - 1) / reach)``, then
    ``effects = n_i^-source (T + second_step R T)_ij n_j^-target`` with R the row-normalised T.
    A Markov chain with a window: quick to learn, and all there is to know in short histories.
    Time O(events x window) and, for a second step, that of `onward`; memory O(distinct pairs +
    items x neighbours).

    Stability: caller.
    """

    reach: float = pydantic.Field(default=1.0, gt=0)
    """What followed counts 1/e after this many events."""
    second_step: float = pydantic.Field(default=0.3, ge=0)
    """Share of the second step; 0 walks one only."""
    neighbours: int = pydantic.Field(default=1000, ge=1)
    """Effects kept of each item where a second step is walked, the largest."""
    source: float = pydantic.Field(default=1.0, ge=0, le=1)
    """Divide by (events of the source item) ** this."""
    target: float = pydantic.Field(default=0.3, ge=0, le=1)
    """Divide by (events of the target item) ** this: less popularity."""
    decay_events: float = pydantic.Field(default=1.5, ge=0)

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> LinearModel:
        """Count; `rng` is not used."""
        data = self.heard(data)
        counts = np.bincount(data.column("item"), minlength=len(data.items))
        rows = np.flatnonzero(counts).astype(np.int32)
        last, future = (side[:, rows] for side in windows(data, 0.1, self.reach))
        progress(0, 1, "transitions")
        pairs = (last.T @ future).tocsr()
        pairs.setdiag(0)
        pairs.eliminate_zeros()
        held = power(counts[rows], -self.target)
        if self.second_step:
            pairs = onward(pairs, self.second_step, held, self.neighbours, progress)
        effects = scale_columns(scale_rows(pairs, power(counts[rows], -self.source)), held)
        effects.sort_indices()
        progress(1, 1)
        return LinearModel(self, data.users, data.items, rows, effects)

"""What is being taken now: popularity that fades with a half-life."""

import numpy as np
import pydantic

from endcap.models.base import Rng, Spec
from endcap.models.popular import PopularModel
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent

DAY_US = 86_400_000_000


class Trending(Spec):
    """Count each person once for each item, at the fading worth of their newest event.

    The score of an item is the sum over its people of ``2 ** (-age / half_life)``. All worths fade
    alike, so the order at any later moment is the order at the end of the data.

    Stability: caller.
    """

    half_life_days: float = pydantic.Field(default=7.0, gt=0)
    """An event counts half after this time."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> PopularModel:
        """Count relative to the last interaction; `rng` is not used."""
        users, items = data.column("user").astype(np.int64), data.column("item")
        pair = users * max(1, len(data.items)) + items
        # Rows are in order of time within a user: the last row of a pair is its newest event.
        _, last = np.unique(pair[::-1], return_index=True)
        newest = len(pair) - 1 - last
        age = (data.end - data.column("time")[newest]) / (self.half_life_days * DAY_US)
        counts = np.bincount(items[newest], np.exp2(-age), minlength=len(data.items))
        progress(1, 1, "counts")
        return PopularModel(self, data.users, data.items, counts.astype(np.float32))

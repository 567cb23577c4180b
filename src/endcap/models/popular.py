"""What most people take: the baseline to beat, and the fallback that always answers."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from endcap.models.base import Answers, Model, Rng, Spec
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent


class Popular(Spec):
    """Rank items by how much they are taken.

    Stability: caller.
    """

    count: Literal["users", "events", "weight"] = "users"
    """What is counted. ``users`` counts each person once, so that no one can push an item."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "PopularModel":
        """Count; `rng` is not used."""
        matrix = data.matrix(None) if self.count == "users" else None
        items = data.column("item") if matrix is None else matrix.indices
        weights = data.column("weight") if self.count == "weight" else None
        counts = np.bincount(items, weights, minlength=len(data.items)).astype(np.float32)
        progress(1, 1, "counts")
        return PopularModel(self, data.users, data.items, counts)


@dataclass(frozen=True)
class PopularModel(Model):
    """Counts of each item; the same answer for everyone.

    Attributes
    ----------
    counts
        float32 (n_items,), ≥ 0. An item that nobody took is not recommended.
    """

    answers: ClassVar[Answers] = Answers(empty=True)

    counts: npt.NDArray[np.float32]

    def scores(self, queries: Queries) -> npt.NDArray[np.float32]:
        """Return the counts, NaN where there are none, for every query alike."""
        row = np.where(self.counts > 0, self.counts, np.float32(np.nan))
        return np.tile(row, (len(queries), 1))

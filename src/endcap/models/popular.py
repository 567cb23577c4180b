"""What most people take: the baseline to beat, and the fallback that always answers."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt

from endcap.models.base import Answers, Model, Opinion, Rng, Spec
from endcap.models.listed import top_listed
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent

LOOK: Final = 4
"""Times as many items as are wanted are looked at first: filters leave some out."""


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
        return np.tile(self._told, (len(queries), 1))

    def opinion(self, queries: Queries, k: int) -> Opinion:
        """See `Model.opinion`; one query walks down the order that all share."""
        if len(queries) != 1 or type(self).scores is not PopularModel.scores:
            return super().opinion(queries, k)
        told, best = self._told, self.order
        look = LOOK * max(k, 1)
        while True:
            head = best[:look]
            proposed = top_listed(head, told[head], queries, k)
            if len(proposed.items) >= k or len(head) == len(best):
                return Opinion(proposed, lambda union: told[union.items])
            look *= LOOK

    @cached_property
    def _told(self) -> npt.NDArray[np.float32]:
        return np.where(self.counts > 0, self.counts, np.float32(np.nan))

    @cached_property
    def order(self) -> npt.NDArray[np.int32]:
        """int32: rows of the items that were taken, the most first, ties by row."""
        taken = np.flatnonzero(self.counts > 0)
        return taken[np.argsort(-self.counts[taken], kind="stable")].astype(np.int32)

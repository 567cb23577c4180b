"""What most people take, counted on to this moment."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from endcap.models.base import Answers, Model, Opinion
from endcap.models.listed import look_up, top_listed
from endcap.models.live import Listed, LiveCounts
from endcap.models.popular import LOOK, PopularModel
from endcap.models.queries import Queries


@dataclass(frozen=True)
class PopularNow(Model):
    """The counts of a trained model and those that every event changes at once, added.

    What happened lately is in both: that moves no item past another as long as nothing changes, and
    what changes from now on shows at once, the sooner the fewer events the model was trained on.

    Attributes
    ----------
    trained
        Its counts stand still.
    live
        Of the last days up to now, fading; of its `TRENDING` items most taken.
    """

    answers: ClassVar[Answers] = Answers(empty=True)

    trained: PopularModel
    live: LiveCounts

    @classmethod
    def of(cls, trained: PopularModel, live: LiveCounts) -> "PopularNow":
        """Return a trained model that goes on counting."""
        return cls(trained.spec, trained.users, trained.items, trained, live)

    def scores(self, queries: Queries) -> npt.NDArray[np.float32]:
        """Return the counts, NaN where there are none, for every query alike."""
        rows, counts = self._told()
        out = self.trained.scores(queries)
        out[:, rows] = np.nan_to_num(out[:, rows]) + counts
        return out

    def opinion(self, queries: Queries, k: int) -> Opinion:
        """See `Model.opinion`; one query walks down the order of training, beside what rose."""
        if len(queries) != 1:
            return super().opinion(queries, k)
        (rows, counts), best = self._told(), self.trained.order
        look = LOOK * max(k, 1)
        while True:
            head = best[:look]
            some = np.unique(np.concatenate((head, rows)))
            scores = self._of(some, rows, counts)
            proposed = top_listed(some, scores, queries, k)
            left = len(head) < len(best)
            # Nobody further down was taken more often than the last one looked at.
            if not left or (
                len(proposed.items) >= k > 0
                and proposed.scores[-1] >= self.trained.counts[head[-1]]
            ):
                return Opinion(proposed, lambda union: self._of(union.items, rows, counts))
            look *= LOOK

    def beyond(self) -> dict[str, float]:
        """Return the counts of ids that the words do not hold."""
        return self.live.beyond(self.items)

    def _told(self) -> Listed:
        return self.live.rows_of(self.live.trending(), self.items)

    def _of(
        self,
        asked: npt.NDArray[np.int32],
        rows: npt.NDArray[np.int32],
        counts: npt.NDArray[np.float32],
    ) -> npt.NDArray[np.float32]:
        trained, risen = self.trained.counts[asked], look_up(rows, counts, asked)
        total = np.nan_to_num(trained) + np.nan_to_num(risen)
        return np.where(total > 0, total, np.float32(np.nan)).astype(np.float32)

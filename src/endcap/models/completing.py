"""Completing: what goes with the item before a shopper's eyes, and what they need again anyway."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.models.base import Answers, Model, Opinion
from endcap.models.candidates import Candidates
from endcap.models.linear import LinearModel
from endcap.models.listed import listed, look_up, top_listed
from endcap.models.queries import Queries
from endcap.models.refill import Refill, RefillModel

if TYPE_CHECKING:
    from endcap.models.together import Together

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CompletingModel(Model):
    """The score of item j: ``sum over what is asked about of P(j | item) + own P(j | shopper)``.

    The first chance is that of `models.together`, the second that of `models.refill`: a basket
    holds j because of what else is in it, or because this shopper takes j anyway. Chances are
    small, so that the sum stands for the noisy or of its causes (Pearl 1988). Asked about are the
    events of the moment `Queries.now`; where there are none, all of the history. What is older
    tells what the shopper needs again.

    Attributes
    ----------
    effects
        CSR float32 (n_items, n_items): as the effects of `models.together`.
    logs, again, weights
        As in `RefillModel`.
    """

    answers: ClassVar[Answers] = Answers(explains=True)

    spec: "Together"
    effects: sparse.csr_array
    logs: npt.NDArray[np.float32]
    again: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float64]

    @classmethod
    def of(cls, together: LinearModel, refill: RefillModel) -> "CompletingModel":
        """Put the two together; `together` has effects for all items."""
        spec, effects = together.spec, together.effects
        parts = refill.logs, refill.again, refill.weights
        return cls(spec, together.users, together.items, effects, *parts)  # type: ignore[arg-type]

    def scores(self, queries: Queries) -> Floats:
        """Return the sum of both chances; NaN where neither says anything."""
        asked, past = self._apart(queries)
        beside = self._together.scores(asked)
        needed = self.spec.own * self._refill.scores(past)
        silent = np.isnan(beside) & np.isnan(needed)
        out = np.nan_to_num(beside) + np.nan_to_num(needed)
        out[silent] = np.nan
        return np.asarray(out, np.float32)

    def opinion(self, queries: Queries, k: int) -> Opinion:
        """See `Model.opinion`; one query is answered from lists, with no look at all items.

        The best k are among what the shopper had and as many of the others as go best with the
        item.
        """
        if len(queries) != 1:
            return super().opinion(queries, k)
        asked, past = self._apart(queries)
        _, had, chances = self._refill.chances(past)
        beside = self._together.opinion(asked, k + len(had))

        def score(union: Candidates) -> Floats:
            pairs, needed = beside.score(union), self.spec.own * look_up(had, chances, union.items)
            both = np.nan_to_num(pairs) + np.nan_to_num(needed)
            both[np.isnan(pairs) & np.isnan(needed)] = np.nan
            return np.asarray(both, np.float32)

        items = np.union1d(beside.proposed.items, had).astype(np.int32)
        scores = score(listed(items, np.full(len(items), np.nan, np.float32)))
        return Opinion(top_listed(items, scores, queries, k), score)

    def contributions(self, query: Queries, items: npt.NDArray[np.int32]) -> Floats:
        """Return float32 (len(items), len(query.items)): the share of each event."""
        asked, past = self._apart(query)
        at_hand = self._at_hand(query)
        out = np.zeros((len(items), len(query.items)), np.float32)
        out[:, at_hand] = self._together.contributions(asked, items)
        out[:, ~at_hand] = self.spec.own * self._refill.contributions(past, items)
        return out

    @cached_property
    def _together(self) -> LinearModel:
        rows = np.arange(len(self.items), dtype=np.int32)
        return LinearModel(self.spec, self.users, self.items, rows, self.effects)

    @cached_property
    def _refill(self) -> RefillModel:
        spec = Refill(kinds=self.spec.kinds)
        return RefillModel(spec, self.users, self.items, self.logs, self.again, self.weights)

    def _apart(self, queries: Queries) -> tuple[Queries, Queries]:
        """Return what is asked about, and the past."""
        at_hand = self._at_hand(queries)
        return queries.only(at_hand), queries.only(~at_hand)

    @staticmethod
    def _at_hand(queries: Queries) -> npt.NDArray[np.bool_]:
        """Return bool (h,): which events are asked about."""
        owner = queries.query_of
        present = queries.times >= queries.now[owner]
        some = np.bincount(owner[present], minlength=len(queries)) > 0
        return np.asarray(present | ~some[owner])

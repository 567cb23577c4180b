"""Models whose score is the history times a fixed item x item matrix: they explain exactly."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.models.base import Answers, Model
from endcap.models.queries import Queries
from endcap.models.weighting import HistorySpec


@dataclass(frozen=True)
class LinearModel(Model):
    """Score of item j: sum over past events e of ``weight(e) x effects[item(e), j]``.

    Attributes
    ----------
    rows
        int32 (m,): the item rows that have effects, rising.
    effects
        float32 (m, m), dense or CSR, over `rows`; an absent entry says nothing.
    """

    answers: ClassVar[Answers] = Answers(explains=True)

    spec: HistorySpec
    rows: npt.NDArray[np.int32]
    effects: npt.NDArray[np.float32] | sparse.csr_array

    def scores(self, queries: Queries) -> npt.NDArray[np.float32]:
        """Return history x effects; NaN for items without effects and empty histories."""
        weighed = replace(queries, weights=self.spec.event_weights(queries))
        profile = weighed.matrix(len(self.items))[:, self.rows]
        out = np.full((len(queries), len(self.items)), np.nan, np.float32)
        spoken = profile @ self.effects
        if isinstance(spoken, sparse.csr_array):
            owner = np.repeat(np.arange(len(queries)), np.diff(spoken.indptr))
            out[owner, self.rows[spoken.indices]] = spoken.data
        else:
            asked = np.flatnonzero(np.diff(profile.indptr))
            out[np.ix_(asked, self.rows)] = spoken[asked]
        return out

    def places(self, items: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Return int64 (n,): where item rows stand in `rows`, -1 where they (or -1) do not."""
        place = np.full(len(self.items) + 1, -1, np.int64)
        place[self.rows] = np.arange(len(self.rows))
        found: npt.NDArray[np.int64] = place[items]
        return found

    def contributions(
        self, query: Queries, items: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Return float32 (len(items), len(query.items)): the share of each past event."""
        past, asked = self.places(query.items), self.places(items)
        out = np.zeros((len(items), len(past)), np.float32)
        told, heard = np.flatnonzero(past >= 0), np.flatnonzero(asked >= 0)
        block = self.effects[past[told]][:, asked[heard]]
        dense = block.toarray() if isinstance(block, sparse.csr_array) else block
        out[np.ix_(heard, told)] = (dense * self.spec.event_weights(query)[told, None]).T
        return out

"""BPR and WARP: factors that put what was taken before what was not.

Rendle et al. 2009 (arXiv 1205.2618, eq. 4) and Weston, Bengio and Usunier 2011 (WSABIE, section 3).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.models.base import Answers, Model, Rng
from endcap.models.bpr_folding import Rivals, fold_in
from endcap.models.bpr_sgd import Tables, learn_pairs
from endcap.models.inner import Product
from endcap.models.queries import Queries
from endcap.models.weighting import HistorySpec
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent

Array = npt.NDArray[np.float32]


class BPR(HistorySpec):
    """Factors p of users, q of items and biases b of items with ``p.q_i + b_i`` in good order.

    ``bpr`` minimises ``sum over (u, i taken, j not) -log sigmoid(s_ui - s_uj)``, j drawn. ``warp``
    draws until some j comes within 1 of i, or better, and weighs that hinge by ``log(items /
    draws)``: it works at the top of the list. Both with ``l2 / 2 |.|^2`` of all that a step
    touches, by stochastic descent with a step for each row (AdaGrad: Duchi et al. 2011). One
    thread, so that a seed gives the same bits. Time for each epoch O(events x factors), times up
    to `trials` with ``warp``; memory (users + items) x factors while learning.

    Stability: caller.
    """

    contract_skips: ClassVar[Mapping[str, str]] = {
        "renaming_permutes_the_answer": "factors start and pairs are drawn at random by row "
        "number, so another order of ids is another start"
    }

    loss: Literal["bpr", "warp"] = "bpr"
    factors: int = pydantic.Field(default=128, ge=1)
    epochs: int = pydantic.Field(default=50, ge=1)
    learning_rate: float = pydantic.Field(default=0.05, gt=0)
    l2: float = pydantic.Field(default=0.03, ge=0)
    """Ridge on the factors that a step touches."""
    bias_l2: float = pydantic.Field(default=0.01, ge=0)
    """Ridge on the biases of items."""
    rivals: float = pydantic.Field(default=0.5, ge=0, le=1)
    """Draw j by (number of its users) ** this: 0 draws all alike, 1 by popularity."""
    trials: int = pydantic.Field(default=50, ge=1)
    """Draws for one pair at most."""
    init: float = pydantic.Field(default=0.1, gt=0)
    """Factors start normal with deviation ``init / sqrt(factors)``."""
    fold_l2: float = pydantic.Field(default=0.003, ge=0)
    """Ridge on the factors of a history that asks; less than `l2`, which the steps never reach."""
    steps: int = pydantic.Field(default=30, ge=1)
    """By which the factors of a history are found when it asks."""
    panel: int = pydantic.Field(default=256, ge=1)
    """Drawn items against which a history is folded in."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "BPRModel":
        """Descend pair by pair."""
        random = np.random.default_rng(rng)
        matrix = self.train_matrix(data)
        counts = np.bincount(matrix.indices, minlength=len(data.items))
        tables = Tables.start(matrix.shape, self.factors, self.init, random)
        tickets = self._tickets(counts)
        for epoch in range(1, self.epochs + 1):
            wrong = learn_pairs(matrix, tables, tickets, self._rates(), random)
            progress(epoch, self.epochs, f"misplaced {wrong:.3f}")
        panel = np.empty(0, np.int32)
        if len(tickets):
            places = (np.arange(self.panel) + 0.5) / self.panel * len(tickets)
            panel = tickets[places.astype(np.int64)]
        return BPRModel(self, data.users, data.items, tables.items, tables.bias, counts > 0, panel)

    def _rates(self) -> tuple[float, float, float, bool, int]:
        return self.learning_rate, self.l2, self.bias_l2, self.loss == "warp", self.trials

    def _tickets(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Return int32: items in proportion to the chance that they are drawn."""
        taken = np.flatnonzero(counts)
        if not len(taken):
            return np.empty(0, np.int32)
        share = np.cumsum(counts[taken] ** self.rivals)
        size = 1 << int(np.ceil(np.log2(16 * len(taken))))
        places = np.searchsorted(share, (np.arange(size) + 0.5) / size * share[-1])
        found: npt.NDArray[np.int32] = taken[places].astype(np.int32)
        return found


@dataclass(frozen=True)
class BPRModel(Model):
    """Item factors; those of a shopper are found from their history at every question.

    Attributes
    ----------
    item_factors, item_bias
        float32 (n_items, d) and (n_items,).
    known
        bool (n_items,): items that were taken; the others cannot be judged.
    panel
        int32: the items against which histories are folded in.
    """

    answers: ClassVar[Answers] = Answers()

    spec: BPR
    item_factors: Array
    item_bias: Array
    known: npt.NDArray[np.bool_]
    panel: npt.NDArray[np.int32]

    def factors_of(self, queries: Queries) -> Array:
        """Return float32 (n, d): the factors that order each history before the panel."""
        return fold_in(
            self._profile(queries),
            (self.item_factors, self.item_bias),
            Rivals.of(self.item_factors, self.item_bias, self.panel),
            (self.spec.fold_l2, self.spec.steps),
        )

    def scores(self, queries: Queries) -> Array:
        """Return ``p.q + b``; NaN for items nobody took and for histories of no known item."""
        out = self.factors_of(queries) @ self.item_factors.T + self.item_bias
        out[:, ~self.known] = np.nan
        out[self._untold(queries)] = np.nan
        return np.asarray(out, np.float32)

    def product(self, queries: Queries) -> Product:
        """See `Model.product`: the bias is one more factor."""
        x = np.pad(self.factors_of(queries), ((0, 0), (0, 1)), constant_values=1)
        x[self._untold(queries)] = np.nan
        return Product(x, self._with_bias, self.known)

    @cached_property
    def _with_bias(self) -> Array:
        return np.column_stack((self.item_factors, self.item_bias))

    def _untold(self, queries: Queries) -> npt.NDArray[np.bool_]:
        told = self._profile(queries) @ self.known.astype(np.float32)
        return np.asarray(told <= 0)

    def _profile(self, queries: Queries) -> sparse.csr_array:
        weighed = replace(queries, weights=self.spec.event_weights(queries))
        return weighed.matrix(len(self.items))

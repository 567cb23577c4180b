"""SLIT and SLIST: closed-form next-item models (Choi et al. 2021, arXiv 2103.16104)."""

import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.models.base import Rng
from endcap.models.inverse import invert
from endcap.models.linear import LinearModel
from endcap.models.ordered import windows
from endcap.models.restricted_ridge import restricted_ridge
from endcap.models.weighting import HistorySpec, power, scale_columns
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import ConfigError
from endcap.schema.progress import Progress, silent


class SLIT(HistorySpec):
    """Predict what comes after every cut of every history from what came before, by ridge.

    Minimises ``|S B - T|^2 + l2 |B|^2`` with S the past and T the future of each cut, both fading
    with the distance to it: ``B = (S^T S + l2 I)^-1 S^T T`` (their equation 8). `order_free` adds
    ``order_free x |T B - S|^2``, the same histories read backwards, to one joint ridge (as SLIST
    joins an order-free term). Order matters here and broad taste does not: it complements EASE.
    Time O(events x window^2 + items^3), memory three dense items x items float32 matrices, over
    the items that were ever taken; with `sources` O(items x sources^3) and items x sources.

    Stability: caller.
    """

    l2: float = pydantic.Field(default=50.0, gt=0)
    """Ridge: larger trusts frequent pairs more."""
    past_decay: float = pydantic.Field(default=1.5, gt=0)
    """While training, an event counts 1/e after this many newer ones."""
    future_decay: float = pydantic.Field(default=1.0, gt=0)
    """While training, what comes counts 1/e after this many events."""
    order_free: float = pydantic.Field(default=0.0, ge=0, le=1)
    """What came before counts this much beside what came after: 1 forgets the order."""
    sources: int = pydantic.Field(default=0, ge=0)
    """Explain each item by this many others, for any number of items; 0 solves for all pairs."""
    decay_events: float = pydantic.Field(default=2.5, ge=0)
    popularity: float = pydantic.Field(default=0.0, ge=-1, le=1)
    """Multiply effects by (users of the target) ** this afterwards."""
    max_items: int = pydantic.Field(default=25_000, ge=1)
    """Refuse more items than this without `sources`; 25,000 need about 7.5 GB while fitting."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> LinearModel:
        """Solve; `rng` is not used.

        Raises
        ------
        ConfigError
            When more than `max_items` items were taken and `sources` is 0.
        """
        data = self.heard(data)
        taken = np.bincount(data.column("item"), minlength=len(data.items))
        rows = np.flatnonzero(taken).astype(np.int32)
        if len(rows) > self.max_items and not self.sources:
            raise ConfigError(
                f"SLIT needs dense {len(rows):,} x {len(rows):,} matrices; max_items is "
                f"{self.max_items:,}.",
                hint="Set sources to 100, or raise prepare.item_core or max_items.",
            )
        progress(0, 3, "windows")
        past, future = (side[:, rows] for side in windows(data, self.past_decay, self.future_decay))
        gram, cross = sparse.csr_array(past.T @ past), sparse.csr_array(past.T @ future)
        if self.order_free:
            share = np.float32(self.order_free)
            gram = sparse.csr_array(gram + share * (future.T @ future))
            cross = sparse.csr_array(cross + share * cross.T)
        effects = self._solve(gram, cross, progress)
        if self.popularity:
            held = power(taken[rows], self.popularity).astype(np.float32)
            effects = (
                scale_columns(effects, held)
                if isinstance(effects, sparse.csr_array)
                else effects * held
            )
        progress(3, 3)
        return LinearModel(self, data.users, data.items, rows, effects)

    def _solve(
        self, gram: sparse.csr_array, cross: sparse.csr_array, progress: Progress
    ) -> npt.NDArray[np.float32] | sparse.csr_array:
        if self.sources:
            return restricted_ridge(gram, cross, self.l2, self.sources, progress)
        progress(1, 3, "inverse")
        dense = gram.toarray(order="C")
        dense[np.diag_indices(len(dense))] += np.float32(self.l2)
        inverse = invert(dense)
        progress(2, 3, "solve")
        return np.asarray(inverse @ cross.toarray(order="C"), np.float32)

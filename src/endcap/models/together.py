"""Together: what is taken in one basket or one visit, and nothing else."""

from typing import Literal

import numpy as np
import pydantic
from scipy import sparse

from endcap.models.base import Rng
from endcap.models.item_knn import ItemKNN
from endcap.models.linear import LinearModel
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent

DAY_US = 86_400_000_000


class Together(ItemKNN):
    """Items speak for those they are taken with, in one basket (purchases) or one visit (views).

    item-knn over baskets x items instead of people x items: a basket of n items counts
    ``(n - 1) ** -damp`` for each of its pairs, and ``2 ** (-age / half_life)``. With `kinds`
    purchase it finds complements (what is bought *with* this); with view and click what is looked
    at beside it, which are mostly substitutes.

    Stability: caller.
    """

    kinds: tuple[str, ...] = ("purchase",)
    similarity: Literal["cosine", "dot"] = "cosine"
    source_norm: float = pydantic.Field(default=1.0, ge=0, le=1)
    """1 is the share of the baskets with the item that hold the other; lower favours rare ones."""
    shrink: float = pydantic.Field(default=1.0, ge=0)
    damp: float = pydantic.Field(default=0.5, ge=0, le=2)
    """How much large baskets are discounted: everything is in them."""
    half_life_days: float | None = pydantic.Field(default=None, gt=0)
    """A basket counts half after this time; without, all count alike."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> LinearModel:
        """Find what each item is taken with; `rng` is not used."""
        similar = self.similarities(self.baskets(data), progress)
        rows = np.arange(len(data.items), dtype=np.int32)
        return LinearModel(self, data.users, data.items, rows, similar)

    def baskets(self, data: Dataset) -> sparse.csr_array:
        """Return CSR float32 (baskets, items): the root of what each basket counts for a pair."""
        heard = self.heard(data)
        codes, place = np.unique(heard.column("session"), return_inverse=True)
        items = heard.column("item")
        out = sparse.coo_array(
            (np.ones(len(items), np.float32), (place, items)), shape=(len(codes), len(data.items))
        ).tocsr()
        out.sum_duplicates()
        newest = np.zeros(len(codes), np.int64)
        np.maximum.at(newest, place, heard.column("time"))
        size = np.diff(out.indptr)
        worth = np.maximum(1, size - 1) ** -self.damp
        if self.half_life_days:
            worth = worth * np.exp2((newest - data.end) / (self.half_life_days * DAY_US))
        out.data = np.repeat(np.sqrt(worth), size).astype(np.float32)
        return out

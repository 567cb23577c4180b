"""Together: what is taken in one basket or one visit, and nothing else."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.features.catalogue import shelves
from endcap.models.base import Model, Rng
from endcap.models.completing import CompletingModel
from endcap.models.item_knn import ItemKNN
from endcap.models.linear import LinearModel
from endcap.models.nearest import nearest
from endcap.models.parallel import over_blocks
from endcap.models.queries import Queries
from endcap.models.refill import Refill
from endcap.models.topk import top_of_rows
from endcap.models.weighting import power, row_squares, rows_of, scale_columns, scale_rows
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent

DAY_US = 86_400_000_000
DEEPER = 3
"""What an item and its category each propose before they are added, times the neighbours kept."""
SHELVES, ITEMS = 64, 2048
"""Categories, and items, that are worked on at once."""


class Together(ItemKNN):
    """Items speak for those they are taken with, in one basket (purchases) or one visit (views).

    item-knn over baskets x items instead of people x items: a basket of n items counts
    ``(n - 1) ** -damp`` for each of its pairs, and ``2 ** (-age / half_life)``. With `kinds`
    purchase it finds complements (what is bought *with* this); with view and click what is looked
    at beside it, which are mostly substitutes. With `own`, what the shopper needs again anyway is
    added: groceries of a known shopper are mostly that.

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
    borrow: float = pydantic.Field(default=0.0, ge=0)
    """An item of few baskets follows its category, which counts as so many baskets of its own."""
    own: float = pydantic.Field(default=0.0, ge=0)
    """What the chance that the shopper needs an item again counts (see `models.completing`)."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> Model:
        """Find what each item is taken with; `rng` is not used."""
        baskets = self.baskets(data)
        similar = (
            self._borrowing(baskets, data, progress)
            if self.borrow
            else self.similarities(baskets, progress)
        )
        rows = np.arange(len(data.items), dtype=np.int32)
        pairs = LinearModel(self, data.users, data.items, rows, similar)
        if not self.own:
            return pairs
        return CompletingModel.of(pairs, Refill(kinds=self.kinds).fit(data))

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

    def _history(self, queries: Queries) -> tuple[npt.NDArray[Any], ...]:
        """Whatever is asked about speaks, also what is only viewed: `kinds` are of the baskets."""
        return queries.indptr, queries.items, queries.weights, np.empty(0, np.float32)

    def _borrowing(
        self, baskets: sparse.csr_array, data: Dataset, progress: Progress
    ) -> sparse.csr_array:
        """Return CSR float32 (items, items): ``(C_ij + borrow P(j | category of i)) / ...``.

        Dirichlet smoothing (MacKay and Peto 1995) of the shares of baskets, with the category's as
        the prior; with a `source_norm` below 1 both are divided by the companion's popularity.
        """
        columns = baskets.T.tocsr()
        worth = row_squares(columns)
        rarity = power(worth, 1 - self.source_norm)
        keep = DEEPER * self.neighbours
        own = nearest(columns, (worth, rarity, self.shrink), keep, progress)
        shelf = shelves(data.item_table).codes
        kin = _companions(baskets, shelf, rarity, keep)
        trust = np.where(shelf >= 0, worth / (worth + self.borrow), 1.0)
        lift = power(worth, 1 - self.source_norm)

        def block(start: int, stop: int) -> sparse.csr_array:
            mine = scale_rows(own[start:stop], trust[start:stop])
            lent = scale_rows(kin[shelf[start:stop]], 1 - trust[start:stop])
            both = sparse.csr_array(mine + lent)
            both.data[both.indices == start + rows_of(both)] = 0
            both.eliminate_zeros()
            return top_of_rows(scale_rows(both, lift[start:stop]), self.neighbours)

        blocks = over_blocks(len(worth), ITEMS, block)
        none = sparse.csr_array((0, len(worth)), dtype=np.float32)
        return sparse.csr_array(sparse.vstack([none, *blocks], "csr"))


def _companions(
    baskets: sparse.csr_array,
    shelf: npt.NDArray[np.int32],
    rarity: npt.NDArray[np.float64],
    keep: int,
) -> sparse.csr_array:
    """Return CSR float32 (categories + 1, items): the share of a category's baskets that hold each.

    The last row, of items without a category, is empty.
    """
    n = int(shelf.max(initial=-1)) + 1
    some = np.flatnonzero(shelf >= 0)
    members = sparse.csr_array(
        (np.ones(len(some), np.float32), (some, shelf[some])), shape=(len(shelf), n)
    )
    held = (baskets @ members).tocsr()
    root = np.zeros(baskets.shape[0], np.float32)
    root[rows_of(baskets)] = baskets.data  # one worth for all of a basket
    held.data = root[rows_of(held)]  # several of one category count once
    columns = held.T.tocsr()
    shared = scale_columns(baskets, power(rarity, -1.0))

    def block(start: int, stop: int) -> sparse.csr_array:
        some = columns[start:stop]
        found = top_of_rows(sparse.csr_array(some @ shared), keep)
        return scale_rows(found, power(row_squares(some), -1.0))

    none = sparse.csr_array((1, len(shelf)), dtype=np.float32)
    return sparse.csr_array(sparse.vstack([*over_blocks(n, SHELVES, block), none], "csr"))

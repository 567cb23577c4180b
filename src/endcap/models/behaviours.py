"""One kind of event foreseen from every kind: a closed-form channel for each side."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pydantic

from endcap.models.base import Rng
from endcap.models.ease import EASE
from endcap.models.inverse import invert
from endcap.models.linear import Floats, LinearModel, without
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import ConfigError
from endcap.schema.progress import Progress, silent


class Behaviours(EASE):
    """Foresee what will be bought from what was bought, and from what was looked at or liked.

    With X the users x items of the kind `target` and Y those of all other kinds, two ridges in
    closed form: ``B`` is EASE of X (Steck 2019, arXiv 1905.03375), with a diagonal of 0, and
    ``C = (Y^T Y + other_l2 I)^-1 Y^T X``, whose diagonal is free: it learns how likely a collected
    item is to be bought itself. Scores are ``x B + share y C + itself y``: the ridge shrinks that
    diagonal of rare items, and `itself` says it of every item alike. Time O(items^3), memory four
    dense items x items float32 matrices, over the items that were ever taken.

    Stability: caller.
    """

    target: str = "purchase"
    """The kind of event to foresee."""
    other_l2: float = pydantic.Field(default=60.0, gt=0)
    """Ridge of what the other kinds say."""
    share: float = pydantic.Field(default=0.4, ge=0)
    """When answering, multiplies what the other kinds say of every item."""
    itself: float = pydantic.Field(default=0.05, ge=0)
    """When answering, what an event of another kind says for its own item."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "BehavioursModel":
        """Solve; `rng` is not used.

        Raises
        ------
        ConfigError
            When more than `max_items` items were taken.
        """
        mask = data.of_kind(self.target)
        x, y = (self.train_matrix(data.where(part)) for part in (mask, ~mask))
        rows = np.union1d(x.indices, y.indices).astype(np.int32)
        if len(rows) > self.max_items:
            raise ConfigError(
                f"behaviours needs dense {len(rows):,} x {len(rows):,} matrices; max_items is "
                f"{self.max_items:,}.",
                hint="Raise prepare.item_core or max_items, or use item-knn or ials.",
            )
        bought = super().fit(data.where(mask), rng, progress)
        effects = np.zeros((len(rows), len(rows)), np.float32)
        place = np.searchsorted(rows, bought.rows)
        effects[np.ix_(place, place)] = bought.effects
        progress(0, 1, "other kinds")
        gram = (y.T @ y)[rows][:, rows].toarray(order="C")
        gram[np.diag_indices(len(rows))] += np.float32(self.other_l2)
        others = invert(gram) @ (y.T @ x)[rows][:, rows].toarray(order="C")
        progress(1, 1)
        return BehavioursModel(self, data.users, data.items, rows, effects, others)


@dataclass(frozen=True)
class BehavioursModel(LinearModel):
    """What each side says about the target kind.

    Attributes
    ----------
    effects, other_effects
        float32 (m, m) over `rows`: B of the target kind, and C of all other kinds.
    """

    spec: Behaviours
    effects: npt.NDArray[np.float32]
    other_effects: npt.NDArray[np.float32]

    def scores(self, queries: Queries) -> npt.NDArray[np.float32]:
        """Return ``x B + share y C + itself y``; NaN for items never taken and empty histories."""
        out = np.full((len(queries), len(self.items)), np.nan, np.float32)
        x, y = (
            replace(queries, weights=weights).matrix(len(self.items))[:, self.rows]
            for weights in self._sides(queries)
        )
        spoken = x @ self.effects + np.float32(self.spec.share) * (y @ self.other_effects)
        owner = np.repeat(np.arange(len(queries)), np.diff(y.indptr))
        spoken[owner, y.indices] += np.float32(self.spec.itself) * y.data
        asked = np.flatnonzero(np.diff(x.indptr) + np.diff(y.indptr))
        out[np.ix_(asked, self.rows)] = spoken[asked]
        return out

    def contributions(
        self, query: Queries, items: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Return float32 (len(items), len(query.items)): the share of each past event."""
        sides = zip(self._sides(query), self._units(query, items), strict=True)
        return np.asarray(sum(weights * units for weights, units in sides), np.float32)

    def left_out(
        self, query: Queries, items: npt.NDArray[np.int32], groups: npt.NDArray[np.int64], n: int
    ) -> Floats:
        """See `Model.left_out`: both sums, with the weights that the other events would have."""
        one, other = (
            without(lambda left, side=side: self._sides(left)[side], units, query, groups, n)  # type: ignore[misc]
            for side, units in enumerate(self._units(query, items))
        )
        return one + other

    def _units(self, query: Queries, items: npt.NDArray[np.int32]) -> tuple[Floats, Floats]:
        """Return float32 (len(items), h) twice: what an event of each side adds at weight 1."""
        past, asked = self.places(query.items), self.places(items)
        out = np.zeros((2, len(items), len(past)), np.float32)
        told, heard = np.flatnonzero(past >= 0), np.flatnonzero(asked >= 0)
        across = np.ix_(past[told], asked[heard])
        same = np.float32(self.spec.itself) * (past[told, None] == asked[heard])
        others = np.float32(self.spec.share) * self.other_effects[across] + same
        out[0][np.ix_(heard, told)] = self.effects[across].T
        out[1][np.ix_(heard, told)] = others.T
        return out[0], out[1]

    def _sides(self, queries: Queries) -> list[npt.NDArray[np.float32]]:
        """Return float32 (h,): the weight of each event of the target kind, and of the others."""
        target = queries.of_kind({self.spec.target: 1.0})
        return [
            self.spec.event_weights(replace(queries, weights=queries.weights * side))
            for side in (target, 1 - target)
        ]

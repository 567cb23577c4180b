"""BiasedMF: explicit ratings as mean + biases + a product of factors (Koren et al. 2009)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, Self

import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.models.base import Answers, RatingModel, Rng, Spec
from endcap.models.mf_gibbs import Chain, gibbs, side_features
from endcap.models.mf_point import FLOOR, Pair, adam, als, sgd, start
from endcap.models.mf_rows import Floats, Prior, Ratings, solve_rows
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import DataError
from endcap.schema.progress import Progress, silent

Array = npt.NDArray[np.float32]
EPOCHS: Final = {"gibbs": 200, "als": 15, "sgd": 30, "adam": 1000}


class StarSpec(Spec):
    """Settings of a model of stars that answers with biases and factors.

    Stability: implementer.
    """

    @property
    def stranger_l2(self) -> float:
        """Ridge for each rating when a stranger's history is folded in."""
        return 0.0


class BiasedMF(StarSpec):
    """Predict stars by ``mean + b_u + b_i + p_u.q_i`` under a masked squared loss.

    ``gibbs`` (default) averages draws of a Bayesian chain whose priors know who rated what: most
    accurate, nothing to tune. ``als``, ``sgd`` and ``adam`` give one point estimate under `l2`.
    Time for each epoch O(ratings d^2 + (users + items) d^3) for ``gibbs`` and ``als``,
    O(ratings d) for the others; memory (users + items) x d x `samples`.

    Stability: caller.
    """

    contract_skips: ClassVar[Mapping[str, str]] = {
        "renaming_permutes_the_answer": "starts and draws are random by row number, "
        "so another order of ids is another chain"
    }

    solver: Literal["gibbs", "als", "sgd", "adam"] = "gibbs"
    factors: int = pydantic.Field(default=8, ge=1)
    epochs: int | None = pydantic.Field(default=None, ge=1)
    """Passes over the ratings; default by solver: 200, 15, 30, 1000."""
    learning_rate: float = pydantic.Field(default=0.01, gt=0)
    """Step of ``sgd`` and ``adam``."""
    l2: float = pydantic.Field(default=0.05, ge=0)
    """Ridge for each rating of ``als``, ``sgd`` and ``adam``."""
    init: float = pydantic.Field(default=0.1, gt=0)
    """Deviation of the factors before the first epoch of ``als``, ``sgd`` and ``adam``."""
    burn_in: float = pydantic.Field(default=0.15, ge=0, lt=1)
    """Share of the chain of ``gibbs`` that is dropped at its start."""
    samples: int = pydantic.Field(default=60, ge=1)
    """Draws of ``gibbs`` that are kept and averaged."""
    side_features: int = pydantic.Field(default=64, ge=0)
    """Directions of who-rated-what that ``gibbs`` uses; 0 uses none."""

    @property
    def stranger_l2(self) -> float:
        """Ridge for each rating when a stranger's history is folded in."""
        return 0.0 if self.solver == "gibbs" else self.l2

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "BiasedMFModel":
        """Learn from the interactions that carry a `value`.

        Raises
        ------
        DataError
            When there are interactions, but no rating among them.
        """
        ratings = ratings_of(data)
        random = np.random.default_rng(rng)
        if self.solver == "gibbs":
            return self._chain(data, ratings, random, progress)
        pair = start(ratings, self.factors, self.init, random)
        epochs = self.epochs or EPOCHS[self.solver]
        rates = (self.learning_rate, self.l2)
        if self.solver == "als":
            pair = als(ratings, pair, epochs, self.l2, progress)
        elif self.solver == "sgd":
            pair = sgd(ratings, pair, epochs, rates, rng=random, progress=progress)
        else:
            pair = adam(ratings, pair, epochs, rates, progress)
        return self._point(data, ratings, pair)

    def _chain(
        self, data: Dataset, ratings: Ratings, rng: np.random.Generator, progress: Progress
    ) -> "BiasedMFModel":
        epochs = self.epochs or EPOCHS["gibbs"]
        schedule = (epochs, int(self.burn_in * epochs), self.samples)
        chain = gibbs(ratings, (self.factors, self.side_features), schedule, rng, progress)
        return BiasedMFModel.of_chain((self, data, ratings), chain)

    def _point(self, data: Dataset, ratings: Ratings, pair: Pair) -> "BiasedMFModel":
        width = self.factors + 1
        for rows, table in zip(pair, (ratings.by_user, ratings.by_item), strict=True):
            rows[np.diff(table.indptr) == 0] = 0  # of them nothing is known, whatever the start
        users, items = (np.concatenate([rows, np.zeros((1, width))])[None] for rows in pair)
        nothing = (np.full((1, width), FLOOR), np.zeros((len(data.items), 0)))
        return BiasedMFModel.of(
            (self, data, ratings), users, items, (*nothing, np.zeros((1, 0, width)))
        )


@dataclass(frozen=True)
class BiasedMFModel(RatingModel):
    """Biases and factors; s counts draws (1 for a point estimate), d the factors.

    The last row of the users' and items' arrays answers for the unknown ones, so that row
    number -1 needs no care.

    Attributes
    ----------
    mean, low, high
        Of the ratings; predictions stay within them.
    user_rows, item_rows
        float32 (n + 1, s, d + 1): bias, then factors.
    known
        bool (n_items,): items with ratings; the others are not ranked.
    ridge
        float32 (s, d + 1): precision of a stranger's prior in units of a rating's.
    basis, effects
        float32 (n_items, k) and (s, k, d + 1): from who-rated-what to the prior's mean.
    """

    answers: ClassVar[Answers] = Answers(empty=True, ratings=True)

    spec: StarSpec
    mean: float
    low: float
    high: float
    user_rows: Array
    item_rows: Array
    known: npt.NDArray[np.bool_]
    ridge: Array
    basis: Array
    effects: Array

    @classmethod
    def of(
        cls,
        source: tuple[StarSpec, Dataset, Ratings],
        users: Floats,
        items: Floats,
        prior: tuple[Floats, Floats, Floats],
    ) -> Self:
        """Build from draws (s, n + 1, d + 1) and (ridge, basis, effects)."""
        spec, data, ratings = source
        return cls(
            spec=spec,
            users=data.users,
            items=data.items,
            mean=ratings.mean,
            low=ratings.low,
            high=ratings.high,
            user_rows=np.ascontiguousarray(users.transpose(1, 0, 2), np.float32),
            item_rows=np.ascontiguousarray(items.transpose(1, 0, 2), np.float32),
            known=np.diff(ratings.by_item.indptr) > 0,
            ridge=prior[0].astype(np.float32),
            basis=prior[1].astype(np.float32),
            effects=prior[2].astype(np.float32),
        )

    @classmethod
    def of_chain(cls, source: tuple[StarSpec, Dataset, Ratings], chain: Chain) -> Self:
        """Build from the draws of a chain; the unknown are answered by its priors."""
        return cls.of(
            source,
            np.concatenate([chain.users, chain.user_mean[:, None]], axis=1),
            np.concatenate([chain.items, chain.item_mean[:, None]], axis=1),
            (chain.user_ridge, chain.basis, chain.user_effects),
        )

    def predict(self, users: npt.NDArray[np.int32], items: npt.NDArray[np.int32]) -> Array:
        """Return the expected rating, float32 (n,), within the scale of the ratings."""
        p, q = self.user_rows[users], self.item_rows[items]
        inner = np.einsum("nsd,nsd->ns", p[:, :, 1:], q[:, :, 1:])
        return self._clip((p[:, :, 0] + q[:, :, 0] + inner).mean(axis=1))

    def fold_in(self, queries: Queries) -> Array:
        """Return float32 (n, s, d + 1): bias and factors of each history by ridge regression."""
        ratings = self._history(queries)
        features = side_features(self.basis.astype(np.float64), ratings)
        out = np.empty((len(queries), *self.ridge.shape), np.float32)
        for s in range(len(self.ridge)):
            mean = self.user_rows[-1, s] + features @ self.effects[s]
            prior = Prior(mean, self.ridge[s].astype(np.float64), self.spec.stranger_l2)
            out[:, s] = solve_rows(ratings, self.item_rows[:-1, s].astype(np.float64), prior)
        return out

    def scores(self, queries: Queries) -> Array:
        """Return the rating expected from each history alone; NaN for items nobody rated.

        Not clipped: the best must stay in order. A history of no rating is answered by what all
        people like.
        """
        rows = self.fold_in(queries)
        n, s, width = rows.shape
        items = self.item_rows[:-1]
        left = rows[:, :, 1:].reshape(n, s * (width - 1))
        out = left @ items[:, :, 1:].reshape(len(items), s * (width - 1)).T / np.float32(s)
        out += rows[:, :, 0].mean(axis=1)[:, None] + items[:, :, 0].mean(axis=1)
        out += np.float32(self.mean)
        out[:, ~self.known] = np.nan
        return np.asarray(out, np.float32)

    def _history(self, queries: Queries) -> sparse.csr_array:
        """Return CSR float64 (n, n_items): the newest rating of each item, less the mean."""
        known = (queries.items >= 0) & ~np.isnan(queries.values)
        shape = (len(queries), len(self.items))
        users, items = queries.query_of[known], queries.items[known]
        newest = newest_of_pairs(users, items, shape[1])
        values = queries.values[known][newest].astype(np.float64) - self.mean
        return sparse.csr_array((values, (users[newest], items[newest])), shape=shape)

    def _clip(self, values: Array) -> Array:
        return np.asarray(np.clip(values + self.mean, self.low, self.high), np.float32)


def newest_of_pairs(
    users: npt.NDArray[np.integer], items: npt.NDArray[np.integer], n_items: int
) -> npt.NDArray[np.int64]:
    """Return the last position of each (user, item) pair, sorted by pair."""
    pair = users.astype(np.int64) * max(n_items, 1) + items
    _, last = np.unique(pair[::-1], return_index=True)
    return np.asarray(len(pair) - 1 - last)


def ratings_of(data: Dataset) -> Ratings:
    """Return the newest rating of each pair, less the mean.

    Raises
    ------
    DataError
        When there are interactions, but no rating among them.
    """
    rated = np.flatnonzero(~np.isnan(data.column("value")))
    if not len(rated) and data.interactions.num_rows:
        raise DataError(
            f"None of the {data.interactions.num_rows:,} interactions carries a rating.",
            hint="Give stars in `value`, or use ials, ease or item-knn, which need none.",
        )
    users, items = data.column("user")[rated], data.column("item")[rated]
    newest = newest_of_pairs(users, items, len(data.items))
    values = data.column("value")[rated][newest].astype(np.float64)
    mean, low, high = (values.mean(), values.min(), values.max()) if len(values) else (0, 0, 0)
    table = sparse.csr_array((values - mean, (users[newest], items[newest])), shape=data.shape)
    return Ratings(table, table.T.tocsr(), float(mean), float(low), float(high))

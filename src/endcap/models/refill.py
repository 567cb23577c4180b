"""Refill: what a shopper will need again, and when, from their own and everybody's intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pydantic

from endcap.models.base import Answers, Model, Rng, Spec
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent

DAY_US: Final = 86_400_000_000
MINUTE_US: Final = 60_000_000
EARLY: Final = 0.8
"""An item counts as due from this share of its interval on."""
ROUNDS: Final = 12
RIDGE: Final = 1.0
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Refill(Spec):
    """The chance that each item a shopper has is in their next basket.

    For a shopper and an item they have: in how many of their baskets it was, lately and in all
    (the newest weighs 1, each older one `decay` of it), how often everybody buys it again, and
    where the shopper is between the last purchase and the next one. The interval to expect is the
    mean of the logarithms of their own intervals and of everybody's for the item, which counts as
    `trust` more; that one is drawn to the mean of all items by `doubt` intervals. A logistic
    regression over these says the chance. It is fitted on the last `lookback` baskets of each
    shopper, each foreseen from those before it. Time and memory O(lookback x pairs of shopper and
    item).

    It says nothing of items a shopper never had. Ask it with repeats allowed.

    Stability: caller.
    """

    contract_skips: ClassVar[Mapping[str, str]] = {
        "exclusions_and_allowed_hold": "it knows no item like another, only the item itself",
    }

    kinds: tuple[str, ...] = ("purchase",)
    """Kinds of event that use up or take in an item."""
    gap_minutes: float = pydantic.Field(default=30.0, ge=0)
    """Events of a shopper that are no further apart belong to one basket."""
    decay: float = pydantic.Field(default=0.9, gt=0, le=1)
    """What a basket counts beside the next newer one."""
    trust: float = pydantic.Field(default=2.0, gt=0)
    """Intervals that everybody's count for beside a shopper's own."""
    doubt: float = pydantic.Field(default=5.0, gt=0)
    """Intervals that the mean of all items counts for beside an item's own."""
    lookback: int = pydantic.Field(default=4, ge=1)
    """Baskets of each shopper that are foreseen in training."""
    max_rows: int = pydantic.Field(default=400_000, ge=1_000)
    """Pairs that the regression is fitted on; where there are more, every n-th is."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "RefillModel":
        """Learn intervals and chances; `rng` is not used."""
        heard = data.where(data.of_kind(*self.kinds))
        events = _Events.of(Queries.of_users(heard, np.arange(len(data.users))), self)
        had = _had(events, np.full(len(data.users), data.end), self.decay, len(data.items))
        logs, again = _population(had, len(data.items), self.doubt)
        progress(1, 2, "intervals")
        model = RefillModel(
            self,
            data.users,
            data.items,
            logs.astype(np.float32),
            again.astype(np.float32),
            np.zeros(_WIDTH),
        )
        rows, hits = [], []
        for behind in range(1, self.lookback + 1):
            past, now = events.before(behind)
            earlier = _had(past, now, self.decay, len(data.items))
            rows.append(model.told(earlier))
            hits.append(np.isin(earlier.key, events.keys_of(behind - 1, len(data.items))))
        told, hit = np.concatenate(rows), np.concatenate(hits)
        step = max(1, len(hit) // self.max_rows)
        weights = _logistic(told[::step], hit[::step])
        progress(2, 2, "chances")
        return RefillModel(self, data.users, data.items, model.logs, model.again, weights)


@dataclass(frozen=True)
class RefillModel(Model):
    """Intervals of the population, and what the chance is made of.

    Attributes
    ----------
    logs
        float32 (n_items,): mean of the logarithm of the days between two purchases.
    again
        float32 (n_items,): how often an item is in a later basket of those who had it.
    weights
        float64 (d,): of the regression.
    """

    answers: ClassVar[Answers] = Answers(explains=True)

    spec: Refill
    logs: npt.NDArray[np.float32]
    again: npt.NDArray[np.float32]
    weights: Floats

    def scores(self, queries: Queries) -> npt.NDArray[np.float32]:
        """Return the chance of each item the shopper has had; NaN for all others."""
        owner, items, chances = self.chances(queries)
        out = np.full((len(queries), len(self.items)), np.nan, np.float32)
        out[owner, items] = chances
        return out

    def chances(
        self, queries: Queries
    ) -> tuple[Ints, npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return (query, item, chance) of each item a shopper has had, by query, then by item."""
        had = self._had(queries)
        return had.owner, had.item.astype(np.int32), _chance(self.told(had) @ self.weights)

    def contributions(
        self, query: Queries, items: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Return float32 (len(items), len(query.items)): a chance is shared by its purchases."""
        heard = query.of_kind(dict.fromkeys(self.spec.kinds, 1.0)) > 0
        same = (items[:, None] == query.items) & heard
        scores = np.nan_to_num(self.scores(query)[0, items])
        share = scores / np.maximum(1, same.sum(axis=1))
        return np.asarray(same * share[:, None], np.float32)

    def due(self, queries: Queries) -> tuple[Ints, npt.NDArray[np.int32], Ints]:
        """Return (query, item, UTC microseconds): when each item a shopper has will be needed."""
        had = self._had(queries)
        days = np.exp(self._expected(had))
        return had.owner, had.item.astype(np.int32), had.last + (days * DAY_US).astype(np.int64)

    def is_due(self, item: int, bought: int, now: int) -> bool:
        """Return whether people buy an item again, and one bought then is needed again now."""
        typical = self.again[self.again > 0]
        if not len(typical) or self.again[item] < np.median(typical):
            return False
        return bool(now - bought >= EARLY * np.exp(self.logs[item]) * DAY_US)

    def told(self, had: "_Had") -> Floats:
        """Return float64 (n, d): what the regression is told of each pair."""
        late = np.log(np.maximum(had.now - had.last, MINUTE_US) / DAY_US) - self._expected(had)
        late = np.clip(late, -4.0, 3.0)
        return np.stack(
            [
                np.ones(len(late)),
                np.log(np.maximum(had.faded, 1e-6)),
                np.log(had.n / (had.oldest + 1)),
                np.log(had.n),
                (had.n == 1).astype(float),
                np.log1p(had.newest),
                np.log(self.again[had.item] + 1e-3),
                late,
                np.minimum(late, 0.0),
                late**2,
                late * np.log(had.n),
            ],
            axis=1,
        )

    def _expected(self, had: "_Had") -> Floats:
        """Return float64 (n,): the logarithm of the days to expect between two purchases."""
        own = had.log_sum + self.spec.trust * self.logs[had.item]
        return np.asarray(own / (had.n - 1 + self.spec.trust))

    def _had(self, queries: Queries) -> "_Had":
        now = np.asarray(np.where(queries.now > 0, queries.now, _latest(queries)), np.int64)
        return _had(_Events.of(queries, self.spec), now, self.spec.decay, len(self.items))


_WIDTH: Final = 11


class _Events(NamedTuple):
    """Purchases, by owner and time; `age` counts the newer baskets of the owner."""

    owner: Ints
    item: Ints
    time: Ints
    age: Ints
    n: int

    @classmethod
    def of(cls, queries: Queries, spec: Refill) -> "_Events":
        heard = (queries.of_kind(dict.fromkeys(spec.kinds, 1.0)) > 0) & (queries.items >= 0)
        owner, times = queries.query_of[heard], queries.times[heard]
        items = queries.items[heard].astype(np.int64)
        order = np.lexsort((times, owner))
        owner, items, times = owner[order], items[order], times[order]
        fresh = np.ones(len(owner), bool)
        fresh[1:] = (np.diff(owner) != 0) | (np.diff(times) > spec.gap_minutes * MINUTE_US)
        basket = np.cumsum(fresh)
        last = np.zeros(len(queries) + 1, np.int64)
        np.maximum.at(last, owner, basket)
        return cls(owner, items, times, last[owner] - basket, len(queries))

    def before(self, behind: int) -> tuple["_Events", Ints]:
        """Return what was before the basket with `behind - 1` newer ones, and its time."""
        now = np.zeros(self.n, np.int64)
        target = self.age == behind - 1
        now[self.owner[target]] = self.time[target]
        past = self.age >= behind
        return _Events(
            self.owner[past], self.item[past], self.time[past], self.age[past] - behind, self.n
        ), now

    def keys_of(self, age: int, n_items: int) -> Ints:
        """Return the pairs of owner and item in the basket of an age."""
        held = self.age == age
        return np.asarray(self.owner[held] * n_items + self.item[held], np.int64)


class _Had(NamedTuple):
    """Each pair of a shopper and an item: one entry for each."""

    key: Ints
    owner: Ints
    item: Ints
    n: Ints  # baskets with it
    newest: Ints  # newer baskets than the last with it
    oldest: Ints  # newer baskets than the first with it
    faded: Floats  # share of the baskets with it, the newest counting most
    log_sum: Floats  # of the days between two purchases, as logarithms
    last: Ints
    now: Ints


def _had(events: _Events, now: Ints, decay: float, n_items: int) -> _Had:
    key = events.owner * max(1, n_items) + events.item
    order = np.lexsort((-events.age, key))
    key, age, time = key[order], events.age[order], events.time[order]
    fresh = np.ones(len(key), bool)  # an item counts once in a basket
    fresh[1:] = (np.diff(key) != 0) | (np.diff(age) != 0)
    key, age, time = key[fresh], age[fresh], time[fresh]
    first = np.flatnonzero(np.concatenate(([True], np.diff(key) != 0))[: len(key)])
    last = np.append(first[1:], len(key)) - 1
    if not len(key):
        none = np.empty(0, np.int64)
        return _Had(none, none, none, none, none, none, np.empty(0), np.empty(0), none, none)
    same = np.diff(key) == 0
    days = np.maximum(np.diff(time), MINUTE_US) / DAY_US
    gaps = np.concatenate(([0.0], np.where(same, np.log(days), 0.0)))
    owner = key[first] // max(1, n_items)
    baskets = np.zeros(events.n, np.int64)
    np.maximum.at(baskets, events.owner, events.age + 1)
    whole = (1 - decay ** baskets.astype(float)) / (1 - decay) if decay < 1 else baskets
    return _Had(
        key[first],
        owner,
        key[first] % max(1, n_items),
        last - first + 1,
        age[last],
        age[first],
        np.add.reduceat(decay ** age.astype(float), first) / whole[owner],
        np.add.reduceat(gaps, first),
        time[last],
        now[owner],
    )


def _population(had: _Had, n_items: int, doubt: float) -> tuple[Floats, Floats]:
    """Return the mean log interval of each item, and how often it is bought again."""
    times = np.bincount(had.item, had.n - 1, n_items)
    sums = np.bincount(had.item, had.log_sum, n_items)
    mean = sums.sum() / times.sum() if times.sum() else np.log(30.0)
    chances = np.bincount(had.item, had.oldest, n_items)
    usual = times.sum() / max(1.0, chances.sum())
    return (sums + doubt * mean) / (times + doubt), (times + doubt * usual) / (chances + doubt)


def _logistic(told: Floats, hit: npt.NDArray[np.bool_]) -> Floats:
    """Return the weights of a ridge logistic regression, by Newton's steps that never climb.

    Columns are scaled for the work: chances fade over many orders of magnitude.
    """
    spread = told.std(axis=0) if len(told) else np.ones(_WIDTH)
    spread[spread < 1e-9] = 1.0
    weights = np.zeros(_WIDTH)
    weights[1] = spread[1]  # where there is nothing to learn from: the faded share itself
    if not hit.any():
        return np.asarray(weights / spread)
    x = told / spread
    penalty = np.full(_WIDTH, RIDGE)
    penalty[0] = 1e-6

    def loss(w: Floats) -> float:
        z = np.clip(x @ w, -30, 30)
        return float(np.log1p(np.exp(z)).sum() - z[hit].sum() + penalty @ w**2 / 2)

    weights[:] = 0.0
    share = np.clip(hit.mean(), 1e-6, 1 - 1e-6)
    weights[0] = np.log(share / (1 - share)) * spread[0]
    best = loss(weights)
    for _ in range(ROUNDS):
        chance = _chance(x @ weights).astype(np.float64)
        slope = x.T @ (hit - chance) - penalty * weights
        bend = (x * (chance * (1 - chance))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(bend, slope)
        size = 1.0
        while size > 1e-3 and not loss(weights + size * step) < best:
            size /= 2
        if size <= 1e-3:
            break
        weights = weights + size * step
        gained, best = best - loss(weights), loss(weights)
        if gained < 1e-7 * abs(best):
            break
    return np.asarray(weights / spread)


def _chance(x: Floats) -> npt.NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))), np.float32)


def _latest(queries: Queries) -> Ints:
    latest = np.zeros(len(queries), np.int64)
    np.maximum.at(latest, queries.query_of, queries.times)
    return latest

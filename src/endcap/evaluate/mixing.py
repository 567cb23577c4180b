"""Choose the weights of a blend on validation, and say what each member adds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from endcap.evaluate.exam import Exam
from endcap.evaluate.intervals import Interval, bootstrap, percentile
from endcap.evaluate.metrics import PerUser
from endcap.evaluate.pool import Gains, Pool

WEIGHTS: Final = (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0)
FINE: Final = (0.6, 0.8, 1.25, 1.6)
"""Factors of a weight that are tried at the end."""
ROUNDS: Final = 4
LIKELY_LISTS: Final = 2_000
"""Questions that the likely weights are learned from."""
WORTH: Final = 0.005
"""A member that adds a smaller share of the score than this goes: it would only cost time."""


@dataclass(frozen=True)
class Part:
    """What one member adds to a blend: the loss of NDCG@k without it, the others as they are.

    Attributes
    ----------
    adds, interval
        Mean over the users, and its 95 % bootstrap interval (paired).
    """

    weight: float
    adds: float
    interval: Interval


@dataclass(frozen=True)
class Mix:
    """A blend chosen on validation.

    Attributes
    ----------
    weights
        Member -> weight, all above 0; the largest is 1.
    values
        NDCG@k of each user with a history.
    parts
        What each member adds.
    tried
        How many blends were marked.
    """

    weights: dict[str, float]
    values: PerUser
    parts: dict[str, Part]
    tried: int

    @property
    def score(self) -> float:
        """Mean NDCG@k."""
        return float(self.values.mean()) if len(self.values) else 0.0


class Mixer:
    """Marks blends of a pool.

    Parameters
    ----------
    pool, exam
        The answers of all models, and the questions they answer.
    k
        Blends are chosen by NDCG@k of the users with a history.
    """

    def __init__(self, pool: Pool, exam: Exam, k: int) -> None:
        self._pool, self._warm, self._seed = pool, exam.warm, exam.seed
        self._gains = Gains(pool, exam, k)
        self.tried = 0

    def values(self, weights: Mapping[str, float]) -> PerUser:
        """Return NDCG@k of each user with a history."""
        self.tried += 1
        return self._gains(self._pool.total(weights))[self._warm]

    def score(self, weights: Mapping[str, float]) -> float:
        """Return the mean of `values`."""
        return float(self.values(weights).mean())

    def search(
        self, weights: Mapping[str, float], among: Sequence[str] | None = None
    ) -> dict[str, float]:
        """Climb from `weights`, one weight at a time, over the models `among` (default: all).

        Every model is tried at each of `WEIGHTS`, and at the end a little up and down, until a
        round changes nothing: a coordinate ascent, whose steps are as coarse as a validation slice
        of thousands can tell apart.
        """
        names = self._pool.names if among is None else among
        best = {name: weights.get(name, 0.0) for name in names}
        for _ in range(ROUNDS):
            before = best
            for name in names:
                best = self._step(best, name, WEIGHTS)
            if best == before:
                break
        best = {name: weight for name, weight in best.items() if weight}
        for name in list(best):
            best = self._step(best, name, [factor * best[name] for factor in FINE])
        return best

    def _step(
        self, best: dict[str, float], name: str, weights: Sequence[float]
    ) -> dict[str, float]:
        """Return `best` with the weight of one model that scores highest, its own among them."""
        rest, row = self._pool.total({**best, name: 0.0}), self._pool.row(name)

        def score(weight: float) -> float:
            self.tried += 1
            return float(self._gains(rest + np.float32(weight) * row)[self._warm].mean())

        top, kept = score(best[name]), best[name]
        for weight in weights:
            if weight != best[name] and (found := score(weight)) > top:
                top, kept = found, weight
        return {**best, name: kept}

    def likely(self) -> dict[str, float]:
        """Return weights >= 0 under which the targets are likeliest, by a softmax of each list.

        A concave problem (ListNet's: Cao et al. 2007), which sees all models at once where the
        search sees one; its likelihood is not NDCG, so that it is a start and no end.
        """
        ends = self._pool.indptr
        hits = np.concatenate(([0], np.cumsum(self._gains.hit)))[ends]
        lists = np.flatnonzero((np.diff(hits) > 0) & self._warm)
        if len(lists) > LIKELY_LISTS:
            lists = np.random.default_rng(self._seed).choice(lists, LIKELY_LISTS, replace=False)
        if not len(lists):
            return dict.fromkeys(self._pool.names, 1.0)
        at = np.concatenate([np.arange(ends[q], ends[q + 1]) for q in lists])
        starts = np.concatenate(([0], np.cumsum(np.diff(ends)[lists])))[:-1]
        shares = self._pool.shares[:, at].astype(np.float64)
        found = minimize(
            _surprise,
            np.ones(len(shares)),
            (shares, self._gains.hit[at], starts),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0, None)] * len(shares),
            options={"maxiter": 40},
        )
        most = max(float(found.x.max()), 1e-9)
        return {n: float(w / most) for n, w in zip(self._pool.names, found.x, strict=True)}

    def part(self, weights: Mapping[str, float], name: str, values: PerUser) -> Part:
        """Return what a member adds to a blend that reaches `values`."""
        without = {other: w for other, w in weights.items() if other != name}
        apart = values - self.values(without)
        (interval,) = percentile(bootstrap(apart[:, None], seed=self._seed))
        return Part(weights[name], float(apart.mean()), interval)


def mix(pool: Pool, exam: Exam, k: int, start: Mapping[str, float]) -> Mix:
    """Choose weights, let go of members that do not pay, and say what the others add.

    Parameters
    ----------
    pool, exam, k
        As in `Mixer`.
    start
        Where one search begins: the best single model is a good place. Another begins with
        the `likely` weights, because one weight at a time cannot leave a model that only several
        others together would replace; the better end is taken.
    """
    mixer = Mixer(pool, exam, k)
    weights = max((mixer.search(one) for one in (start, mixer.likely())), key=mixer.score)
    while True:
        weights = _over_largest(weights)
        values = mixer.values(weights)
        parts = {name: mixer.part(weights, name, values) for name in weights}
        least = min(parts, key=lambda name: parts[name].adds)
        if len(parts) == 1 or parts[least].adds >= WORTH * values.mean():
            return Mix(weights, values, parts, mixer.tried)
        kept = {name: weight for name, weight in weights.items() if name != least}
        weights = mixer.search(kept, among=tuple(kept))


def _surprise(
    weights: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
    hit: npt.NDArray[np.bool_],
    starts: npt.NDArray[np.int64],
) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the mean surprise of the targets under a softmax of each list, and its slope."""
    total = weights @ shares
    sizes = np.diff(starts, append=len(total))
    raised = np.exp(total - np.repeat(np.maximum.reduceat(total, starts), sizes))
    chance = raised / np.repeat(np.add.reduceat(raised, starts), sizes)
    wanted = np.repeat(np.add.reduceat(hit, starts, dtype=np.int64), sizes)
    surprise = -np.log(np.maximum(chance[hit], 1e-300)).mean()
    return float(surprise), shares @ (wanted * chance - hit) / hit.sum()


def _over_largest(weights: Mapping[str, float]) -> dict[str, float]:
    largest = max(weights.values())
    return {name: round(weight / largest, 4) for name, weight in weights.items()}

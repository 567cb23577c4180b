"""Choose the weights of a blend on validation, and say what each member adds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from endcap.evaluate.exam import Exam
from endcap.evaluate.intervals import Interval, bootstrap, percentile
from endcap.evaluate.metrics import PerUser
from endcap.evaluate.pool import Gains, Pool

WEIGHTS: Final = (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0)
ROUNDS: Final = 4
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

        Every model is tried at each of `WEIGHTS` until a round changes nothing: a coordinate
        ascent, whose steps are as coarse as a validation slice of thousands can tell apart.
        """
        names = self._pool.names if among is None else among
        best = {name: weights.get(name, 0.0) for name in names}
        top = self.score(best)
        for _ in range(ROUNDS):
            before = dict(best)
            for name in names:
                rest = self._pool.total({**best, name: 0.0})
                row = self._pool.row(name)
                for weight in WEIGHTS:
                    if weight == best[name]:
                        continue
                    self.tried += 1
                    total = rest + np.float32(weight) * row
                    score = float(self._gains(total)[self._warm].mean())
                    if score > top:
                        top, best = score, {**best, name: weight}
            if best == before:
                break
        return {name: weight for name, weight in best.items() if weight}

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
        everybody alike, because one weight at a time cannot leave a model that only several
        others together would replace; the better end is taken.
    """
    mixer = Mixer(pool, exam, k)
    ends = [mixer.search(weights) for weights in (start, dict.fromkeys(pool.names, 1.0))]
    weights = max(ends, key=mixer.score)
    while True:
        weights = _over_largest(weights)
        values = mixer.values(weights)
        parts = {name: mixer.part(weights, name, values) for name in weights}
        least = min(parts, key=lambda name: parts[name].adds)
        if len(parts) == 1 or parts[least].adds >= WORTH * values.mean():
            return Mix(weights, values, parts, mixer.tried)
        kept = {name: weight for name, weight in weights.items() if name != least}
        weights = mixer.search(kept, among=tuple(kept))


def _over_largest(weights: Mapping[str, float]) -> dict[str, float]:
    largest = max(weights.values())
    return {name: round(weight / largest, 4) for name, weight in weights.items()}

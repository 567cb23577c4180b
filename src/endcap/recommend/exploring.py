"""Exploration: now and then one position goes to an item further down, with a known chance.

What nobody is shown nobody can take up. The chance of each item is written on its impression, so
that another way of ordering can be judged by what was shown (inverse propensity, Horvitz and
Thompson 1952). It is a share of slates (epsilon-greedy), drawn by the request: the same request at
the same moment gets the same slate, and can be replayed.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from endcap.recommend.slates.problem import Problem
from endcap.recommend.slates.rules import Explore

EXPLORED: Final = "exploration"
Order = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A slate after exploration.

    Attributes
    ----------
    order
        int64 (k,): candidates, best position first.
    at
        The position (from 0) that exploration may fill; -1 where it may fill none.
    explored
        Whether it did.
    propensity
        The chance of the item at `at` being there.
    """

    order: Order
    at: int = -1
    explored: bool = False
    propensity: float = 1.0


def draw(rule: Explore, problem: Problem, order: Order, told: str) -> Drawn:
    """Let a slate's position go to one of the next best candidates, with the chance `rule.share`.

    Each of the next `rule.among` candidates by relevance that keeps every rule in that place is as
    likely as any other. A pinned position stays; so does a slate that cannot meet its rules.

    Parameters
    ----------
    told
        What the request is: it decides the draw.
    """
    at = rule.position - 1
    if at >= len(order) or at in problem.pins or not problem.holds(order):
        return Drawn(order)
    ranked = np.argsort(-problem.relevance, kind="stable")
    next_best = ranked[~np.isin(ranked, order)][: rule.among]
    digest = blake2b(told.encode(), digest_size=16).digest()
    rng = np.random.default_rng(int.from_bytes(digest))
    if rng.random() >= rule.share:
        possible = any(problem.holds(_put(order, at, one)) for one in next_best)
        return Drawn(order, at, propensity=1 - rule.share) if possible else Drawn(order)
    fitting = [one for one in next_best if problem.holds(_put(order, at, one))]
    if not fitting:
        return Drawn(order)
    chosen = fitting[int(rng.integers(len(fitting)))]
    return Drawn(_put(order, at, chosen), at, explored=True, propensity=rule.share / len(fitting))


def _put(order: Order, at: int, candidate: np.int64) -> Order:
    out = order.copy()
    out[at] = candidate
    return out

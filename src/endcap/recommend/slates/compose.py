"""Compose a slate under all rules together, and say what each of them did and cost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from endcap.recommend.slates import exact, kernels
from endcap.recommend.slates.problem import MODES, UNBOUNDED, Bound, Problem

POOL: Final = 16
"""How many of the most relevant candidates outside the slate are tried in it."""
ROUNDS: Final = 2
SHORT: Final = 10
Order = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Effect:
    """What one rule did to one slate.

    Attributes
    ----------
    name
        Of the rule.
    met
        Whether it holds as it was asked for.
    relaxed
        What was made of it where it could not be met: ``"at least 3 became 2"``; else empty.
    moved
        How many items are in the slate that would not be without the rule.
    price
        The share of expected relevance that the rule costs; below 0 where it gives some back. NaN,
        and `moved` 0, where nobody asked for prices.
    """

    name: str
    met: bool
    relaxed: str
    moved: int = 0
    price: float = nan


@dataclass(frozen=True, slots=True)
class Composed:
    """A slate and the account of its rules.

    Attributes
    ----------
    order
        int64 (k,): candidates, best position first.
    value, expected
        The value of the slate by `kernels`, and its discounted relevance.
    effects
        Of each rule, in order of precedence.
    """

    order: Order
    value: float
    expected: float
    effects: tuple[Effect, ...]


def compose(problem: Problem, *, prices: bool = True) -> Composed:
    """Return the slate of the most value under all rules.

    Rules that cannot hold together are relaxed as `exact.solve` says. A rule's price is what the
    slate's expected relevance loses against the best slate without that rule.

    Parameters
    ----------
    problem
        Candidates, value and rules; k is no more than there are candidates.
    prices
        Whether to compose once more without each rule.
    """
    solved, order = _solve(problem)
    reports: list[Effect] = []
    for name, relaxed, off in _rules(problem, solved):
        effect = _effect(name, relaxed, replace(solved, **off), order) if prices else None
        reports.append(effect or Effect(name, not relaxed, relaxed))
    return Composed(order, value_of(solved, order), solved.expected(order), tuple(reports))


def value_of(problem: Problem, order: Order) -> float:
    """Return the value of a slate, whatever the rules say of it."""
    return float(kernels.value(order, _worth(problem)))


def greedy(problem: Problem) -> Order:
    """Return the first attempt: -1 from the position where no candidate keeps the rules."""
    order: Order = kernels.greedy(_worth(problem), _limits(problem))
    return order


def _solve(problem: Problem) -> tuple[Problem, Order]:
    """Return the problem as it was solved (bounds relaxed where need be), and its slate."""
    order = greedy(problem)
    if not problem.holds(order):
        problem, order = exact.solve(problem)
    return problem, _improved(problem, order)


def _improved(problem: Problem, order: Order) -> Order:
    """Swap while it pays; long slates without rules are left as greedy has them."""
    if problem.k > SHORT and not problem.bounds and not problem.pins:
        return order
    inside = np.zeros(len(problem.relevance), bool)
    inside[order] = True
    ranked = np.argsort(-problem.relevance, kind="stable")
    pool = ranked[~inside[ranked]][:POOL]
    better: Order = kernels.improve(order, _worth(problem), _limits(problem), pool, ROUNDS)
    return better


def _worth(problem: Problem) -> kernels.Worth:
    n, mix = len(problem.relevance), problem.mix
    return kernels.Worth(
        problem.relevance,
        problem.discounts,
        problem.likeness,
        problem.diversity if len(problem.likeness) else 0.0,
        MODES[problem.method],
        problem.window,
        problem.calibration if len(mix) else 0.0,
        mix,
        problem.groups if len(mix) else np.zeros((n, 0)),
        problem.bonus if len(problem.bonus) else np.zeros(n),
    )


def _limits(problem: Problem) -> kernels.Limits:
    bounds = problem.bounds
    codes = np.array([bound.codes for bound in bounds], np.int32)
    lo, hi, first = (
        np.array([getattr(bound, name) for bound in bounds], np.int64)
        for name in ("lo", "hi", "first")
    )
    pin = np.full(problem.k, -1, np.int64)
    for position, candidate in problem.pins.items():
        pin[position] = candidate
    codes = codes.reshape(len(bounds), len(problem.relevance))
    return kernels.Limits(codes, lo, hi, first, int(codes.max(initial=0)) + 1, pin)


def _rules(problem: Problem, solved: Problem) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each rule, what was made of it, and how it is switched off."""
    for at, (wanted, kept) in enumerate(zip(problem.bounds, solved.bounds, strict=True)):
        others = solved.bounds[:at] + solved.bounds[at + 1 :]
        yield wanted.name, _gave(wanted, kept), {"bounds": others}
    for position in sorted(problem.pins):
        pins = {p: c for p, c in solved.pins.items() if p != position}
        yield f"pin at {position + 1}", "", {"pins": pins}
    for name, off in _softened(solved):
        yield name, "", off


def _softened(problem: Problem) -> list[tuple[str, dict[str, Any]]]:
    """The wishes in force, and how each is switched off."""
    off: list[tuple[str, dict[str, Any]]] = []
    if problem.diversity:
        off.append(("diversity", {"diversity": 0.0}))
    if problem.calibration:
        off.append(("calibration", {"calibration": 0.0}))
    if problem.bonus.any():
        off.append(("reach", {"bonus": np.zeros(0)}))
    return off


def _effect(name: str, relaxed: str, freed: Problem, order: Order) -> Effect:
    """Compare a slate with the best one of a problem that has a rule less."""
    other = _solve(freed)[1]
    if value_of(freed, other) < value_of(freed, order):
        other = order  # the slate at hand is allowed without the rule as well
    best = freed.expected(other)
    price = (best - freed.expected(order)) / best if best > 0 else 0.0
    moved = len(set(order.tolist()) - set(other.tolist()))
    return Effect(name, not relaxed, relaxed, moved, price)


def _gave(wanted: Bound, kept: Bound) -> str:
    parts: Sequence[str] = []
    if kept.lo != wanted.lo:
        parts = [*parts, f"at least {wanted.lo} became {kept.lo}"]
    if kept.hi != wanted.hi and wanted.hi < UNBOUNDED:
        parts = [*parts, f"at most {wanted.hi} became {kept.hi}"]
    return ", ".join(parts)

"""The composer against trying all slates."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from slate_worlds import best_value, drawn, problems

from endcap.recommend.slates import exact
from endcap.recommend.slates.compose import compose
from endcap.recommend.slates.problem import Problem


@settings(deadline=None, max_examples=150)
@given(problems)
def test_a_slate_that_keeps_every_rule_is_found_whenever_there_is_one(problem: Problem) -> None:
    best = best_value(problem)
    slate = compose(problem)
    assert len(set(slate.order.tolist())) == problem.k
    assert all(slate.order[p] == c for p, c in problem.pins.items())
    hard = slate.effects[: len(problem.bounds)]
    assert (best is not None) == problem.holds(slate.order) == all(one.met for one in hard)
    if best is not None:
        assert slate.value >= 0.9 * best


def test_slates_are_worth_most_of_the_best_ones_on_average() -> None:
    shares = []
    for seed in range(300):
        problem = drawn(seed, rules=seed % 5)
        best = best_value(problem)
        if best:
            shares.append(compose(problem, prices=False).value / best)
    assert len(shares) > 100
    assert np.mean(shares) >= 0.95
    assert min(shares) >= 0.9


@settings(deadline=None, max_examples=60)
@given(problems)
def test_without_wishes_for_variety_no_rule_has_a_price_below_nothing(problem: Problem) -> None:
    if not problem.diversity and not problem.calibration:
        assert all(-1e-9 <= one.price <= 1 for one in compose(problem).effects)


def test_bounds_let_in_by_parts_give_way_just_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    gave = 0
    for seed in range(400):
        problem = drawn(seed, rules=4, soft=False)
        whole, order = exact.solve(problem)
        with monkeypatch.context() as patched:
            patched.setattr(exact, "LARGEST", 0.0)  # every bound by itself
            parts, other = exact.solve(problem)
        assert [(b.lo, b.hi) for b in parts.bounds] == [(b.lo, b.hi) for b in whole.bounds]
        assert whole.holds(order)
        assert whole.holds(other)
        gave += whole is not problem
    assert gave > 50


def test_what_gives_way_is_the_least_in_order_of_precedence() -> None:
    for seed in range(60):
        problem = drawn(seed, rules=3, soft=False)
        solved, _ = exact.solve(problem)
        for at, (wanted, kept) in enumerate(zip(problem.bounds, solved.bounds, strict=True)):
            slack = max(wanted.lo - kept.lo, kept.hi - wanted.hi)
            if slack:
                less = replace(wanted, lo=max(0, wanted.lo - slack + 1), hi=wanted.hi + slack - 1)
                bounds = (*solved.bounds[:at], less)
                assert best_value(replace(problem, bounds=bounds)) is None

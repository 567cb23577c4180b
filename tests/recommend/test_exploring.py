"""Exploration: off by default, as often as asked, under every rule, with the chance it says."""

from collections import Counter
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from recommend_worlds import NOW, MemoryState, artefact, catalogue_of, ruled

from endcap.recommend.exploring import draw
from endcap.recommend.slate import Slate
from endcap.recommend.slates.problem import Bound, Problem
from endcap.recommend.slates.rules import Explore, Rules
from endcap.schema.errors import ConfigError

ITEMS = [f"i{i:02}" for i in range(13)]


@pytest.fixture(scope="module")
def model() -> Any:
    return artefact()


@pytest.fixture
def shop() -> MemoryState:
    state = MemoryState(catalogue_of(ITEMS, brand=[f"b{i % 3}" for i in range(13)]))
    state.add("ann", "i00", days_ago=90)
    return state


def ask(model: Any, state: MemoryState, rules: dict[str, Any], second: int = 0) -> Slate:
    return ruled(model, state, rules, now=NOW + timedelta(seconds=second))


def test_nothing_is_tried_out_by_default(model: Any, shop: MemoryState) -> None:
    for second in range(50):
        slate = ask(model, shop, {"diversity": 0.1}, second)
        assert not any(item.explored for item in slate.items)
        assert all(item.propensity == 1 for item in slate.items)


def test_each_chance_is_the_share_that_comes(model: Any, shop: MemoryState) -> None:
    rules = {"explore": {"share": 0.4, "position": 3, "among": 5}}
    plain = [item.item_id for item in ask(model, shop, {}).items]
    seen: Counter[str] = Counter()
    told: dict[str, float] = {}
    n = 600
    for second in range(n):
        slate = ask(model, shop, rules, second)
        ids = [item.item_id for item in slate.items]
        assert ids[:2] + ids[3:] == plain[:2] + plain[3:]
        third = slate.items[2]
        assert third.explored == (third.item_id != plain[2])
        assert [item.propensity for at, item in enumerate(slate.items) if at != 2] == [1, 1, 1]
        seen[third.item_id] += 1
        told[third.item_id] = third.propensity
    assert told[plain[2]] == pytest.approx(0.6)
    assert len(told) == 6
    assert sum(told.values()) == pytest.approx(1)
    for item_id, chance in told.items():
        assert seen[item_id] / n == pytest.approx(chance, abs=4 * np.sqrt(chance / n))


def test_the_same_request_at_the_same_moment_is_answered_alike(
    model: Any, shop: MemoryState
) -> None:
    rules = {"explore": {"share": 0.5, "position": 1}}
    slates = [ask(model, shop, rules, second) for second in range(20)]
    assert slates == [ask(model, shop, rules, second) for second in range(20)]
    assert 2 < sum(slate.items[0].explored for slate in slates) < 18


def test_pins_stay_and_what_breaks_a_quota_is_never_drawn(model: Any, shop: MemoryState) -> None:
    rules: dict[str, Any] = {"explore": {"share": 0.9, "position": 1}}
    pinned = {**rules, "pins": [{"item": "i07", "position": 1}]}
    quota = {**rules, "quotas": [{"where": "brand == 'b1'", "min": 4}]}
    for second in range(30):
        slate = ask(model, shop, pinned, second)
        assert slate.items[0].item_id == "i07"
        assert slate.items[0].propensity == 1
        slate = ask(model, shop, quota, second)
        assert all(int(item.item_id[1:]) % 3 == 1 for item in slate.items)


def test_nothing_is_drawn_where_rules_gave_way_or_nothing_else_fits() -> None:
    rule = Explore(share=0.99, position=1, among=9)
    order = np.array([0, 1])
    relevance = np.array([1.0, 0.9, 0.8])
    only = Problem(2, relevance, bounds=(Bound("both", np.array([0, 0, -1], np.int32), lo=2),))
    broken = Problem(2, relevance, bounds=(Bound("none", np.array([0, 0, 0], np.int32), hi=0),))
    for told in map(str, range(20)):
        for problem in (only, broken):
            drawn = draw(rule, problem, order, told)
            assert (drawn.order.tolist(), drawn.at, drawn.propensity) == ([0, 1], -1, 1.0)
    assert any(draw(rule, Problem(2, relevance), order, told).explored for told in "abc")


def test_its_settings_are_strict() -> None:
    for wrong in ({"share": 1.0}, {"share": 0.1, "positions": 3}, {}):
        with pytest.raises(ConfigError):
            Rules.parse({"explore": wrong})

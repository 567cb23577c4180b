"""Rules of a placement: the slate is composed under them, full, and says what they did."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recommend_worlds import MemoryState, artefact, catalogue_of
from recommend_worlds import ruled as ask

from endcap.recommend.composing import worth
from endcap.recommend.recommender import Recommender
from endcap.recommend.shelf import Pick
from endcap.recommend.slate import Request, Slate

ITEMS = [f"i{i:02}" for i in range(13)]


@pytest.fixture(scope="module")
def model() -> Any:
    return artefact()


@pytest.fixture
def shop() -> MemoryState:
    state = MemoryState(
        catalogue_of(
            [*ITEMS, "new"],
            brand=[f"b{i % 3}" for i in range(13)] + ["fresh"],
            price=[10.0 + i for i in range(13)] + [5.0],
            stock=[1] * 14,
        )
    )
    state.add("ann", "i00")
    state.add("ann", "i02")
    return state


def ids(slate: Slate) -> list[str]:
    return [item.item_id for item in slate.items]


def test_without_rules_nothing_changes(model: Any, shop: MemoryState) -> None:
    asked = Request(user_id="ann", k=4)
    assert ask(model, shop, {}) == Recommender(model).recommend([asked], shop)[0]


def test_a_pin_is_in_its_place_whatever_the_models_think(model: Any, shop: MemoryState) -> None:
    slate = ask(model, shop, {"pins": [{"item": "i07", "position": 2}]})
    assert ids(slate)[1] == "i07"
    assert len(set(ids(slate))) == 4
    assert [item.rank for item in slate.items] == [1, 2, 3, 4]
    assert [(rule.name, rule.met) for rule in slate.rules] == [("pin at 2", True)]
    assert np.isnan(slate.rules[0].price)


@pytest.mark.parametrize("item", ["gone", "i00"])
def test_a_pin_that_may_not_be_shown_is_said(model: Any, shop: MemoryState, item: str) -> None:
    slate = ask(model, shop, {"pins": [{"item": item, "position": 1}]})
    assert item not in ids(slate)
    assert len(slate.items) == 4
    assert slate.rules[0].relaxed == f"{item!r} is not on offer"
    assert not slate.rules[0].met


def test_a_quota_fetches_what_no_model_proposes(model: Any, shop: MemoryState) -> None:
    rules = {"quotas": [{"where": 'brand == "fresh"', "min": 1, "first": 2, "name": "fresh"}]}
    slate = ask(model, shop, rules, prices=True)
    assert "new" in ids(slate)[:2]
    (rule,) = slate.rules
    assert (rule.name, rule.met, rule.moved) == ("fresh", True, 1)
    assert 0 < rule.price < 1
    assert slate.cost == pytest.approx(rule.price)


def test_what_cannot_be_met_is_relaxed_and_said(model: Any, shop: MemoryState) -> None:
    slate = ask(model, shop, {"quotas": [{"where": 'brand == "fresh"', "min": 3}]})
    assert len(slate.items) == 4
    assert slate.rules[0].relaxed == "at least 3 became 1"
    assert not slate.degraded


def test_what_is_excluded_never_comes_and_the_slate_stays_full(
    model: Any, shop: MemoryState
) -> None:
    slate = ask(model, shop, {"exclude": "price > 13", "diversity": 0.1}, k=3)
    assert set(ids(slate)) == {"i01", "i03", "new"}
    assert "i01" not in ids(ask(model, shop, {"exclude": 'item == "i01"'}, k=20))


def test_brands_are_capped_in_order_of_relevance(model: Any, shop: MemoryState) -> None:
    slate = ask(model, shop, {"quotas": [{"by": "brand", "max": 1}]}, k=3)
    brands = [int(i[1:]) % 3 for i in ids(slate)]
    assert len(set(brands)) == 3


def test_fatigue_follows_what_was_shown(model: Any, shop: MemoryState) -> None:
    first = ids(ask(model, shop, {}))[0]
    for _ in range(3):
        shop.add("ann", first, kind="impression", days_ago=0.5)
    assert ids(ask(model, shop, {"fatigue": {"half_after": 1.0}}))[0] != first
    assert first not in ids(ask(model, shop, {"fatigue": {"cap": 3}}, k=12))
    shop.add("ann", first, kind="click", days_ago=0.1)
    assert first in ids(ask(model, shop, {"fatigue": {"cap": 3}}, k=12))


def test_reach_shows_what_nobody_was_shown(model: Any, shop: MemoryState) -> None:
    shop.exposure = dict.fromkeys(ITEMS, 1000)
    assert "new" in ids(ask(model, shop, {"reach": 5.0}))


def test_reasons_are_those_of_the_items_shown(model: Any, shop: MemoryState) -> None:
    slate = ask(model, shop, {"pins": [{"item": "i04", "position": 4}]})
    plain = Recommender(model).recommend([Request(user_id="ann", k=13)], shop)[0]
    told = {item.item_id: item.reasons for item in plain.items}
    assert [item.reasons for item in slate.items] == [told[i] for i in ids(slate)]


def test_the_next_level_is_worth_less_than_the_least_of_this_one() -> None:
    def first(_: Any) -> Any: ...
    def second(_: Any) -> Any: ...

    scores = [(0.8, first), (0.4, first), (1.0, second), (0.5, second), (0.0, None)]
    picks = [Pick(f"i{n}", s, "m", told=t) for n, (s, t) in enumerate(scores)]
    assert worth(picks).tolist() == [1.0, 0.5, 0.5, 0.25, 0.0]


quotas = st.builds(
    lambda n, kind, first, what: {kind: n, "first": first} | what,
    st.integers(0, 4),
    st.sampled_from(["min", "max"]),
    st.integers(1, 8),
    st.sampled_from([{"where": 'brand == "b1"'}, {"where": "price < 15"}]),
)


@settings(deadline=None, max_examples=40)
@given(
    rules=st.fixed_dictionaries(
        {
            "quotas": st.lists(quotas, max_size=3),
            "pins": st.lists(
                st.tuples(st.sampled_from([*ITEMS, "new", "?"]), st.integers(1, 6)),
                max_size=3,
                unique_by=(lambda p: p[0], lambda p: p[1]),
            ).map(lambda pins: [{"item": i, "position": p} for i, p in pins]),
            "diversity": st.sampled_from([0.0, 0.5]),
            "exclude": st.sampled_from(["", "price < 12", "true"]),
        }
    ),
    k=st.integers(0, 14),
    out=st.sets(st.sampled_from(ITEMS)),
)
def test_whatever_the_rules_the_shelf_is_full_and_the_forbidden_stays_away(
    model: Any, rules: dict[str, Any], k: int, out: set[str]
) -> None:
    state = MemoryState(
        catalogue_of(
            [*ITEMS, "new"],
            brand=[f"b{i % 3}" for i in range(13)] + ["fresh"],
            price=[10.0 + i for i in range(13)] + [5.0],
            stock=[int(i not in out) for i in [*ITEMS, "new"]],
        )
    )
    state.add("ann", "i00")
    slate = ask(model, state, rules, k=k)
    allowed = {*ITEMS, "new"} - out - {"i00"}
    if rules["exclude"] == "price < 12":
        allowed -= {"i00", "i01", "new"}
    elif rules["exclude"]:
        allowed = set()
    got = ids(slate)
    assert set(got) <= allowed
    assert len(got) == len(set(got)) == min(k, len(allowed))
    assert slate == ask(model, state, rules, k=k)
    for pin in rules["pins"]:
        if pin["item"] in allowed and pin["position"] <= len(got):
            assert got[pin["position"] - 1] == pin["item"]


def test_a_cap_counts_within_its_days(model: Any, shop: MemoryState) -> None:
    first = ids(ask(model, shop, {}))[0]
    for _ in range(3):
        shop.add("ann", first, kind="impression", days_ago=5)
    assert first not in ids(ask(model, shop, {"fatigue": {"cap": 3, "days": 6}}, k=12))
    assert first in ids(ask(model, shop, {"fatigue": {"cap": 3, "days": 4}}, k=12))
    assert ids(ask(model, shop, {"fatigue": {"half_after": 1.0, "days": 6}}))[0] != first
    assert ids(ask(model, shop, {"fatigue": {"half_after": 1.0, "days": 4}}))[0] == first


def test_pins_rotate_with_the_clock(model: Any, shop: MemoryState) -> None:
    rules = {"pins": [{"items": ["i07", "i08"], "position": 1, "hours": 24}]}
    seen = []
    for _ in range(4):
        seen.append(ids(ask(model, shop, rules))[0])
        shop.now += timedelta(hours=24)
    assert seen in (["i07", "i08"] * 2, ["i08", "i07"] * 2)

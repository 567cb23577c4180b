"""Objectives: slates by what they are expected to bring, under the rules, and what that costs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from recommend_worlds import MemoryState, artefact, catalogue_of
from recommend_worlds import ruled as ask

from endcap.models.chances import Chances, Curve
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Slate
from endcap.recommend.slates.objective import Objective
from endcap.recommend.slates.preview import outcome, preview
from endcap.recommend.slates.rules import Rules
from endcap.schema.errors import ConfigError

ITEMS = [f"i{i:02}" for i in range(13)]
PRICES = [float(1 + (11 * i) % 13) for i in range(13)]
FALLING = Curve(np.array([0.0, 0.0, -1.0]), np.array([-1.7, 0.0]), np.array([0.0, 0.6]))
"""The chance of place p: 0.6 (1 - log p / 1.7), whatever the score."""
BOUGHT = Chances({("personal", "purchase"): FALLING}, {})


def shop(**columns: Any) -> MemoryState:
    state = MemoryState(
        catalogue_of(ITEMS, **{"price": PRICES, "currency": ["EUR"] * 13, **columns})
    )
    state.add("ann", "i00")
    state.add("ann", "i02")
    return state


@pytest.fixture(scope="module")
def model() -> Any:
    return replace(artefact(), chances=BOUGHT)


def ids(slate: Slate) -> list[str]:
    return [item.item_id for item in slate.items]


def price(item_id: str) -> float:
    return PRICES[int(item_id[1:])]


def chance(place: int) -> float:
    return 0.6 * max(0.0, 1 - np.log(place) / 1.7)


def personal(model: Any, state: MemoryState) -> list[str]:
    slate = ask(model, state, {}, k=13)
    return [item.item_id for item in slate.items if item.source in {"ease", "item-knn"}]


def test_the_slate_is_the_one_of_the_most_expected_revenue(model: Any) -> None:
    state = shop()
    slate = ask(model, state, {"objective": {"revenue": 1.0}}, k=3)
    known = personal(model, state)
    worth = {i: chance(place) * price(i) for place, i in enumerate(known, 1)}
    assert ids(slate) == sorted(known, key=lambda i: -worth[i])[:3]
    assert ids(slate) != known[:3]
    assert slate.objective == {"revenue": 1.0}
    for item in slate.items:
        assert item.expected is not None
        assert item.expected.revenue == pytest.approx(worth[item.item_id])
        assert item.expected.value == item.expected.revenue
        assert np.isnan(item.expected.click)


def test_profit_is_price_less_cost_less_expected_returns(model: Any) -> None:
    rates = ['{"return_rate": 0.5}' if i == 4 else None for i in range(13)]
    state = shop(cost=[1.0 if i % 2 else None for i in range(13)], attributes=rates)
    objective = {"profit": 1.0, "cost_share": 0.5, "return_rate": 0.1, "return_loss": 0.8}
    slate = ask(model, state, {"objective": objective}, k=6)
    places = {i: place for place, i in enumerate(personal(model, state), 1)}
    assert "i04" in places
    told = {item.item_id: item.expected for item in slate.items if item.item_id in places}
    assert told
    for item_id, expected in told.items():
        cost = 1.0 if int(item_id[1:]) % 2 else 0.5 * price(item_id)
        back = 0.8 * price(item_id) * (0.5 if item_id == "i04" else 0.1)
        left = price(item_id) - cost - back
        assert expected is not None
        assert expected.profit == pytest.approx(chance(places[item_id]) * left)


def test_outcomes_are_summed_by_weight(model: Any) -> None:
    both = Chances({**BOUGHT.curves, ("personal", "click"): FALLING}, {})
    rules = {"objective": {"click": 0.2, "purchase": 1.0, "profit": 0.5}}
    slate = ask(replace(model, chances=both), shop(), rules)
    for item in slate.items:
        told = item.expected
        assert told is not None
        assert told.value == pytest.approx(0.2 * told.click + told.purchase + 0.5 * told.profit)
    total = slate.expected
    assert total is not None
    assert total.value == pytest.approx(sum(item.expected.value for item in slate.items))  # type: ignore[union-attr]


def test_rules_hold_under_an_objective_and_it_tells_its_price(model: Any) -> None:
    dear = max(personal(model, shop()), key=price)
    rules = {"objective": {"revenue": 1.0}, "exclude": f'item == "{dear}"'}
    rules |= {"pins": [{"item": "i07", "position": 1}]}
    slate = ask(model, shop(), rules, prices=True)
    assert ids(slate)[0] == "i07"
    assert dear not in ids(slate)
    told = next(effect for effect in slate.rules if effect.name == "objective")
    assert told.met
    assert told.moved > 0
    assert 0 < told.price < 1


@pytest.mark.parametrize(
    ("chances", "columns", "objective", "why"),
    [
        (None, {}, {"purchase": 1.0}, "no chances were learnt: run endcap train"),
        (BOUGHT, {}, {"click": 1.0}, "no chance of a click was learnt for the level 'personal'"),
        (
            BOUGHT,
            {"currency": ["EUR", "GBP"] * 6 + ["EUR"]},
            {"revenue": 1.0},
            "prices are in EUR and GBP",
        ),
        (
            BOUGHT,
            {"attributes": ['{"return_rate": "often"}'] * 13},
            {"profit": 1.0},
            "attributes.return_rate holds no numbers",
        ),
    ],
)
def test_what_cannot_be_reckoned_leaves_the_slate_as_it_was_and_says_why(
    model: Any, chances: Any, columns: Any, objective: Any, why: str
) -> None:
    state = shop(**columns)
    slate = ask(replace(model, chances=chances), state, {"objective": objective})
    assert ids(slate) == ids(ask(model, state, {}))
    (told,) = slate.rules
    assert (told.name, told.met, told.relaxed) == ("objective", False, why)
    assert slate.objective == {}


def test_a_level_without_chances_knows_less_than_the_one_before(model: Any) -> None:
    slate = ask(model, shop(), {"objective": {"purchase": 1.0}}, k=11)
    known = len(personal(model, shop()))
    told = [item.expected.purchase for item in slate.items]  # type: ignore[union-attr]
    assert known < len(told)
    assert all(later <= told[known - 1] + 1e-12 for later in told[known:])


def test_weights_of_nothing_only_tell(model: Any) -> None:
    slate = ask(model, shop(), {"objective": {}})
    assert ids(slate) == ids(ask(model, shop(), {}))
    assert slate.rules == ()
    assert slate.expected is not None
    assert slate.expected.purchase == pytest.approx(sum(map(chance, range(1, 5))))


def test_a_preview_says_what_is_won_and_lost(model: Any) -> None:
    state = shop()
    rules = Rules.parse({"objective": {"revenue": 1.0}})
    (one,) = preview(Recommender(model), state, rules, ["ann"], k=2)
    before, after = outcome([one]) or (None, None)
    assert before is not None
    assert after is not None
    assert after.revenue > before.revenue
    assert after.purchase < before.purchase
    assert before.purchase == pytest.approx(sum(map(chance, range(1, 3))))
    assert outcome(preview(Recommender(artefact()), state, rules, ["ann"])) is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (['{"back": "often"}'] * 13, "'attributes.back' holds a text ('often'), not numbers"),
        (['{"back": 5}'] * 13, "'attributes.back' is 5 for an item"),
        (['{"bacc": 0.1}'] * 13, "attributes.bacc"),
        ([None] * 13, "No item has 'attributes.back'"),
    ],
)
def test_wrong_return_rates_are_refused_before_they_are_published(
    values: list[str | None], said: str
) -> None:
    rules = Rules.parse({"objective": {"profit": 1.0, "returns": "attributes.back"}})
    with pytest.raises(ConfigError) as error:
        rules.check(shop(attributes=values).columns)
    assert said in f"{error.value} {error.value.hint}"


def test_settings_of_an_objective_are_strict() -> None:
    with pytest.raises(ConfigError, match="profits"):
        Rules.parse({"objective": {"profits": 1.0}})
    with pytest.raises(ConfigError, match="no attribute"):
        Objective.parse({"returns": "price"})
    Rules.parse({"objective": {"profit": 1.0}}).check(shop().columns)

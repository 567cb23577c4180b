"""Counterfactuals are what asking again without the evidence gives."""

import pytest
from recommend_worlds import MemoryState, artefact, catalogue_of, checkerboard

from endcap.recommend.counterfactual import Counterfactual, counterfactuals, rule_of
from endcap.recommend.recommender import Recommender
from endcap.recommend.sentences import what_if
from endcap.recommend.slate import Request
from endcap.recommend.slates.rules import Rules

ITEMS = [f"i{i:02}" for i in range(13)]
BOUGHT = ["i00", "i04", "i01"]


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return Recommender(artefact(checkerboard()))


def world(*bought: str) -> MemoryState:
    state = MemoryState(catalogue_of(ITEMS))
    for days, item in enumerate(bought, start=1):
        state.add("ann", item, days_ago=days)
    return state


def test_the_rank_is_that_of_a_world_without_it(recommender: Recommender) -> None:
    request = Request(user_id="ann", k=4)
    state = world(*BOUGHT)
    slate = recommender.recommend([request], state)[0]
    told = counterfactuals(recommender, request, slate, state)
    assert set(told) == {item.item_id for item in slate.items}
    moved = 0
    for item in slate.items:
        found = told[item.item_id]
        assert (found.rank, found.without) == (item.rank, item.reasons[0].item_id)
        less = world(*(i for i in BOUGHT if i != found.without))
        asked = Request(user_id="ann", k=100, exclude=(found.without,))
        order = [i.item_id for i in recommender.recommend([asked], less)[0].items]
        assert found.rank_without == order.index(item.item_id) + 1
        moved += found.rank_without != found.rank
    assert moved


def test_context_is_taken_off_the_page(recommender: Recommender) -> None:
    request = Request(placement="similar", context_items=("i02",), k=3)
    state = world()
    slate = recommender.recommend([request], state)[0]
    told = counterfactuals(recommender, request, slate, state, most=1)
    assert [found.without for found in told.values()] == ["i02"]


def test_under_rules_it_is_composed_again(recommender: Recommender) -> None:
    home = recommender.placements["home"]
    rules = Rules.parse({"pins": [{"item": "i05", "position": 2}], "diversity": 0.2})
    ruled = recommender.placed({"home": home.model_copy(update={"rules": rules})})
    request = Request(user_id="ann", k=3)
    state = world(*BOUGHT)
    slate = ruled.recommend([request], state)[0]
    assert [rule_of(slate, item) for item in slate.items] == ["", "pin at 2", ""]
    told = counterfactuals(ruled, request, slate, state)
    assert all(found.among == 3 for found in told.values())
    if "i05" in told:
        assert told["i05"].rank_without == 2


@pytest.mark.parametrize(
    ("after", "words"), [(41, "fall from 3 to 41"), (1, "rise from 3 to 1"),
                         (3, "stay at 3"), (None, "not be among the first 100")]
)  # fmt: skip
def test_it_is_said_in_words(after: int | None, words: str) -> None:
    found = Counterfactual("y", "x", "purchase", 3, after, 100)
    assert words in what_if(found, {})
    assert "Had you not bought x" in what_if(found, {})
    assert "x" in what_if(found, {"x": {"title": "x"}}, "zh")

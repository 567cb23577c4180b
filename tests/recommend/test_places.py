"""Places beyond a blend: the shopper's past, carts and orders, met needs, given lists."""

from typing import Any

import pytest
from recommend_worlds import NOW, MemoryState, artefact, catalogue_of, micros, recipe

from endcap.recommend.recipe import Placement, Recipe
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request, Slate
from endcap.schema.errors import ConfigError

ITEMS = [f"i{i:02}" for i in range(13)]


@pytest.fixture(scope="module")
def model() -> Any:
    return artefact()


@pytest.fixture
def shop() -> MemoryState:
    return MemoryState(
        catalogue_of(
            [*ITEMS, "new"],
            categories=[[f"Cat > {i % 4}"] for i in range(13)] + [["Cat > 9"]],
            price=[10.0] * 14,
            sale_price=[None, 5.0] * 7,
            attributes=['{"seconds": 100}'] * 14,
        )
    )


def ask(model: Any, state: MemoryState, place: dict[str, Any], **request: Any) -> Slate:
    placed = Recommender(model).placed({"here": Placement.parse(place)})
    asked = Request(**{"user_id": "ann", "placement": "here", "k": 5, **request})
    return placed.recommend([asked], state)[0]


def ids(slate: Slate) -> list[str]:
    return [item.item_id for item in slate.items]


def past(**past: Any) -> dict[str, Any]:
    return {"levels": [{"name": "recent", "past": past}], "fill": False, "hide": {"kinds": []}}


def test_recently_viewed_is_newest_first_and_ends_with_a_purchase(
    model: Any, shop: MemoryState
) -> None:
    for days, (item, kind) in enumerate(
        [("i01", "view"), ("i02", "click"), ("i01", "cart"), ("i03", "view"), ("i04", "view")]
    ):
        shop.add("ann", item, kind, days_ago=days + 1)
    shop.add("ann", "i04", "purchase", days_ago=0.5)
    slate = ask(model, shop, past())
    assert ids(slate) == ["i01", "i02", "i03"]
    assert (slate.served_by, slate.items[0].source) == ("recent", "past")
    assert slate.items[1].reasons[0].event == "click"
    assert ids(ask(model, shop, past(days=2.5))) == ["i01", "i02"]
    assert ids(ask(model, shop, past(), filter='item != "i01"')) == ["i02", "i03"]
    assert ids(ask(model, shop, past(), context_items=("i02",))) == ["i01", "i03"]
    assert ask(model, shop, past(), user_id="nobody").served_by == "empty"


def test_what_left_the_shelf_is_not_offered_again(model: Any) -> None:
    state = MemoryState(catalogue_of(["i01", "i02"], stock=[0, 1]))
    state.add("ann", "i01", "view")
    state.add("ann", "i02", "view")
    assert ids(ask(model, state, past())) == ["i02"]


def test_continue_leaves_out_what_is_finished(model: Any, shop: MemoryState) -> None:
    when = micros(NOW) - 1_000_000
    for n, (item, seconds) in enumerate([("i01", 40.0), ("i02", 97.0), ("i03", 5.0), ("i05", 1.0)]):
        shop.events.setdefault("ann", []).append((item, "play", when + n, seconds))
    shop.add("ann", "i05", "complete", days_ago=0)
    begun = past(kinds=["play"], until=["complete"], length="attributes.seconds")
    assert ids(ask(model, shop, begun)) == ["i03", "i01"]


def test_the_catalogue_fills_up_unless_it_is_told_not_to(model: Any, shop: MemoryState) -> None:
    shop.add("ann", "i01", "view")
    assert len(ask(model, shop, {**past(), "fill": True}).items) == 5
    assert ids(ask(model, shop, past())) == ["i01"]


def test_a_level_has_a_condition_of_its_own_and_the_next_fills_up(
    model: Any, shop: MemoryState
) -> None:
    popular = {"evidence": "none", "weights": {"popular": 1.0}}
    place = {
        "levels": [
            {"name": "on-sale", **popular, "filter": "sale_price < price"},
            {"name": "popular", **popular},
        ],
        "hide": {"kinds": []},
    }
    slate = ask(model, shop, place, k=9)
    odd = [int(i[1:]) % 2 for i in ids(slate)]
    assert odd == [1] * 6 + [0] * 3
    assert (slate.served_by, len(slate.items)) == ("on-sale", 9)
    boosted = {"levels": [{"name": "b", **popular, "boost": '1 + 9 * (item == "i11")'}]}
    assert ids(ask(model, shop, boosted))[0] == "i11"


@pytest.mark.parametrize(("evidence", "expected"), [("cart", "i04"), ("order", "i07")])
def test_carts_and_orders_speak_alone(
    model: Any, shop: MemoryState, evidence: str, expected: str
) -> None:
    shop.add("ann", "i01", "cart", days_ago=3)
    shop.add("ann", "i01", "uncart", days_ago=2)
    shop.add("ann", "i04", "cart", days_ago=1)
    shop.add("ann", "i10", "purchase", days_ago=9)
    shop.add("ann", "i07", "purchase", days_ago=0.5)
    place = {"levels": [{"name": evidence, "evidence": evidence, "weights": {"item-knn": 1.0}}]}
    slate = ask(model, shop, place, k=3)
    parity = int(expected[1:]) % 2
    assert all(int(i[1:]) % 2 == parity for i in ids(slate))
    assert {r.item_id for item in slate.items for r in item.reasons} == {expected}


def test_a_met_need_hands_over_to_what_completes_it(model: Any, shop: MemoryState) -> None:
    knn = {"name": "like", "evidence": "context", "weights": {"item-knn": 1.0}}
    plain = Recommender(model)
    places = {
        "here": Placement.parse({"levels": [knn], "closed": {"then": "there", "days": 30}}),
        "there": Placement.parse(
            {"levels": [{"name": "p", "evidence": "none", "weights": {"popular": 1.0}}]}
        ),
    }

    def served(**more: Any) -> tuple[str, str]:
        asked = Request(user_id="ann", placement="here", context_items=("i05",), k=3, **more)
        slate = plain.placed(places).recommend([asked], shop)[0]
        return slate.served_by, slate.answered_as

    assert served() == ("like", "")
    shop.add("ann", "i02", days_ago=1)  # another category
    shop.add("ann", "i01", days_ago=40)  # the same, long ago
    assert served() == ("like", "")
    shop.add("ann", "i01", days_ago=2)  # the same category: the need is met
    assert served() == ("p", "there")


def test_the_like_of_what_was_just_bought_counts_less_on_any_page(
    model: Any, shop: MemoryState
) -> None:
    place = {"levels": [{"name": "personal", "weights": {"item-knn": 1.0}}]}
    met = {**place, "closed": {"factor": 0.1, "days": 30}}
    shop.add("ann", "i00", days_ago=2)
    like = [i for i in ids(ask(model, shop, place, k=6)) if int(i[1:]) % 4 == 0]
    assert like
    after = ids(ask(model, shop, met, k=6))
    assert set(after[-len(like) :]) == set(like)
    shop.events["ann"] = []
    shop.add("ann", "i00", days_ago=40)  # long ago
    assert ids(ask(model, shop, met, k=6)) == ids(ask(model, shop, place, k=6))


def test_a_given_list_is_ranked_and_the_unknown_come_last(model: Any, shop: MemoryState) -> None:
    shop.add("ann", "i00")
    given = ("new", "i03", "i04", "gone", "i02")
    place = {
        "levels": [{"name": "personal", "weights": {"item-knn": 1.0}}],
        "hide": {"kinds": []},
    }
    slate = ask(model, shop, place, rank=given, k=10)
    assert set(ids(slate)[:2]) == {"i02", "i04"}
    assert ids(slate)[2:] == ["new", "i03"]
    assert [item.source for item in slate.items[2:]] == ["given", "given"]


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ({"name": "x"}, "either weights"),
        ({"name": "x", "past": {}, "weights": {"popular": 1.0}}, "either weights"),
        ({"name": "empty", "past": {}}, "built in"),
        ({"name": "Bad Name", "past": {}}, "name"),
        ({"name": "x", "past": {"length": "seconds"}}, "length"),
    ],
)
def test_levels_are_strict(level: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Placement.parse({"levels": [level]})


@pytest.mark.parametrize(
    ("closed", "said"), [({}, "does nothing"), ({"then": "x", "by": "brnd"}, "brand")]
)
def test_needs_are_strict(closed: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Placement.parse({"levels": [{"name": "x", "past": {}}], "closed": closed})


def test_a_recipe_hands_over_only_to_places_it_has() -> None:
    plain = recipe().model_dump()
    plain["placements"]["similar"]["closed"] = {"then": "hom"}
    with pytest.raises(ConfigError, match=r"'hom'.*'home'"):
        type(recipe()).parse(plain)


@pytest.mark.parametrize("own", [0.0, 1.0])
def test_the_item_of_a_page_speaks_though_it_was_only_looked_at(
    shop: MemoryState, own: float
) -> None:
    plain = recipe().model_dump()
    plain["models"]["beside"] = {"plugin": "together", "settings": {"own": own}}
    model = artefact(made_by=Recipe.parse(plain))
    level = {
        "name": "together",
        "evidence": "history" if own else "context",
        "weights": {"beside": 1.0},
    }
    place = {"levels": [level], "fill": False, "hide": {"kinds": []}}
    guest = ask(model, shop, place, user_id=None, context_items=("i02",))
    assert guest.served_by == "together"
    assert {reason.event for item in guest.items for reason in item.reasons} == {"view"}
    assert "i02" not in ids(guest)

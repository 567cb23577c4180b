"""Brands and categories for a shopper, and shoppers for an item."""

from typing import Any

import pytest
from recommend_worlds import MemoryState, artefact, catalogue_of

from endcap.recommend.places.audience import audience
from endcap.recommend.places.groups import groups
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request
from endcap.schema.errors import RequestError

ITEMS = [f"i{i:02}" for i in range(13)]


@pytest.fixture(scope="module")
def model() -> Any:
    return artefact()


@pytest.fixture
def shop() -> MemoryState:
    state = MemoryState(
        catalogue_of(
            ITEMS,
            brand=["even" if i % 2 == 0 else "odd" for i in range(13)],
            categories=[[f"Home > {i % 2}", f"Home > {i % 2} > {i % 4}"] for i in range(13)],
        )
    )
    for item in ("i00", "i02", "i04"):
        state.add("ann", item)
    return state


def test_the_even_shopper_likes_the_even_brand(model: Any, shop: MemoryState) -> None:
    found = groups(Recommender(model), Request(user_id="ann", k=2), shop, by="brand")
    assert [group.value for group in found] == ["even", "odd"]
    assert sum(group.share for group in found) == pytest.approx(1)
    assert found[0].share > 0.5
    assert [int(item.item_id[1:]) % 2 for item in found[0].items] == [0, 0, 0, 0]


def test_category_paths_are_cut_where_asked(model: Any, shop: MemoryState) -> None:
    recommender, request = Recommender(model), Request(user_id="ann", k=9)
    assert [g.value for g in groups(recommender, request, shop, by="category", level=1)] == ["Home"]
    two = groups(recommender, request, shop, by="categories", level=2)
    assert {group.value for group in two} == {"Home > 0", "Home > 1"}
    one = groups(recommender, request.model_copy(update={"k": 1}), shop, by="categories")
    assert len(one) == 1
    assert one[0].value.startswith("Home > 0")


@pytest.mark.parametrize("by", ["brnd", "price"])
def test_groups_that_are_none_are_refused(model: Any, shop: MemoryState, by: str) -> None:
    with pytest.raises(RequestError, match=f"{by}.*"):
        groups(Recommender(model), Request(), shop, by=by)


def test_an_audience_are_those_alike_who_do_not_have_it(model: Any, shop: MemoryState) -> None:
    for row in range(12):
        user = f"u{row:02}"
        for item in range(row % 2, 13, 2):
            if item != 6:
                shop.add(user, f"i{item:02}")
    shop.add("u02", "i06")
    told: list[tuple[int, int]] = []
    found = audience(
        model,
        Recommender(model).placements["home"],
        ["i06", "no-such"],
        shop,
        progress=lambda done, total, note="": told.append((done, total)),
    )
    assert {member.item_id for member in found} == {"i06"}
    evens = [f"u{row:02}" for row in range(0, 12, 2) if row != 2]
    assert sorted(member.user_id for member in found)[: len(evens)] == evens
    assert all(0 < member.score <= 1 for member in found)
    assert told[-1][0] == told[-1][1] == 29
    scores = [member.score for member in found]
    assert scores == sorted(scores, reverse=True)
    assert audience(model, Recommender(model).placements["home"], ["i06"], shop, k=2) == found[:2]


def test_nobody_is_asked_about_what_nobody_knows(model: Any, shop: MemoryState) -> None:
    with pytest.raises(RequestError, match="no-such"):
        audience(model, Recommender(model).placements["home"], ["no-such"], shop)

"""Kilometres between places: against vectors, unknown where a place is, bounded, and in a slate."""

import json
import math
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from recommend_worlds import MemoryState, artefact

from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.errors import FilterError, TooExpensiveError
from endcap.recommend.filters.expression import EARTH_KM, Expression
from endcap.recommend.filters.nodes import unparse
from endcap.recommend.filters.parser import parse
from endcap.recommend.filters.spot import Spot, spot_of
from endcap.recommend.filters.suggest import suggest
from endcap.recommend.filters.world import World
from endcap.recommend.recipe import Placement
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request
from endcap.schema.errors import StoreError

PARIS, LONDON, SYDNEY = (48.8566, 2.3522), (51.5074, -0.1278), (-33.8688, 151.2093)
HERE = "attributes.lat, attributes.lon"
latitudes = st.floats(-90, 90, allow_subnormal=False)
longitudes = st.floats(-180, 180, allow_subnormal=False)
places = st.tuples(latitudes, longitudes)


def catalogue(*spots: tuple[float | None, float | None]) -> pa.Table:
    told = [
        json.dumps({k: v for k, v in zip(("lat", "lon"), spot, strict=True) if v is not None})
        for spot in spots
    ]
    return pa.table({"item_id": [f"i{at:02}" for at in range(len(spots))], "attributes": told})


def written(place: tuple[float, float]) -> str:
    return ", ".join(f"{number:.17f}" for number in place)


def plain(one: tuple[float, float], other: tuple[float, float]) -> float:
    """By unit vectors: the angle between them, from its sine and its cosine."""

    def vector(place: tuple[float, float]) -> tuple[float, float, float]:
        lat, lon = map(math.radians, place)
        return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)

    (a, b, c), (x, y, z) = vector(one), vector(other)
    sine = math.hypot(b * z - c * y, c * x - a * z, a * y - b * x)
    return EARTH_KM * math.atan2(sine, a * x + b * y + c * z)


@pytest.mark.parametrize(
    ("one", "other", "km"),
    [(PARIS, LONDON, 343.6), (PARIS, SYDNEY, 16960), ((0, 179.5), (0, -179.5), 111.2)],
)
def test_cities_are_as_far_apart_as_maps_say(
    one: tuple[float, float], other: tuple[float, float], km: float
) -> None:
    columns = Columns(catalogue(one))
    boost = Expression.boost(f"distance({HERE}, {written(other)}) / 100")
    assert boost.factor(columns, World())[1] * 100 == pytest.approx(km, rel=1e-3)


@settings(deadline=None, max_examples=150)
@given(st.lists(places, min_size=1, max_size=5), places, st.floats(0, 25_000))
def test_it_agrees_with_vectors(
    spots: list[tuple[float, float]], other: tuple[float, float], radius: float
) -> None:
    columns = Columns(catalogue(*spots))
    expected = [plain(spot, other) for spot in spots]
    text = f"distance({HERE}, {written(other)})"
    found = Expression.boost(f"{text} / 100").factor(columns, World())[1:] * 100
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-3)
    assume(all(abs(km - radius) > 1 for km in expected))
    near = Expression.filter(f"{text} < {radius:.17f}").mask(columns, World())[1:]
    assert near.tolist() == [km < radius for km in expected]


def test_what_has_no_place_is_near_nothing() -> None:
    columns = Columns(catalogue(PARIS, (None, 2.0), (48.0, None), (91.0, 2.0), (None, None)))
    near = Expression.filter(f"distance({HERE}, {written(PARIS)}) < 50000")
    assert near.mask(columns, World())[1:].tolist() == [True, False, False, False, False]
    assert not Expression.filter(f"distance({HERE}, -90.5, 0) < 50000").mask(columns, World()).any()


def test_the_page_says_where() -> None:
    columns = Columns(catalogue(PARIS, LONDON, SYDNEY, (49.0, 2.4)))
    near = Expression.filter(
        f"distance({HERE}, context.attributes.lat, context.attributes.lon) < 20"
    )
    assert not near.of_items
    world = World({"context": columns.rows(["i00"])})
    assert near.mask(columns, world)[1:].tolist() == [True, False, False, True]
    assert not near.mask(columns, World()).any()


NEAR_ME = f"distance({HERE}, context.lat, context.lon) < 20"
NEAR_HOME = f"distance({HERE}, user.lat, user.lon) < 20"


def test_where_the_shopper_is_may_be_asked_and_is_unknown_where_nobody_says_it() -> None:
    columns = Columns(catalogue(PARIS, LONDON, (None, 2.0)))
    at_home = World(here={"user.lat": PARIS[0], "user.lon": PARIS[1]})
    travelling = World(here={"context.lat": LONDON[0], "context.lon": LONDON[1]})
    half = World(here={"user.lat": PARIS[0], "context.lon": LONDON[1]})

    def shown(text: str, world: World) -> list[bool]:
        asked = Expression.filter(text)
        assert not asked.of_items
        return asked.mask(columns, world)[1:].tolist()

    assert shown(NEAR_HOME, at_home) == [True, False, False]
    assert shown(NEAR_ME, travelling) == [False, True, False]
    nowhere = [(NEAR_HOME, travelling), (NEAR_ME, at_home), (NEAR_HOME, half), (NEAR_ME, World())]
    assert not any(any(shown(text, world)) for text, world in nowhere)
    assert shown(f"not {NEAR_ME}", World()) == [True, True, True]  # as of any unknown value
    assert shown("has(user.lat)", at_home) == [True, True, True]
    assert not any(shown("has(user.lon)", half))
    assert shown("user.lat > 48 and context.lat != 3", at_home) == [True, True, True]
    boost = Expression.boost(f"1 / (1 + distance({HERE}, user.lat, user.lon))")
    assert boost.factor(columns, World()).tolist() == [1.0] * 4


def test_a_table_of_texts_names_places_as_well() -> None:
    texts = ['{"lat": "48.85", "lon": "2.35"}', '{"lat": "-", "lon": ""}']
    columns = Columns(pa.table({"item_id": ["a", "b"], "attributes": texts}))
    near = Expression.filter(f"distance({HERE}, {written(PARIS)}) < 20")
    near.check(columns)
    assert near.mask(columns, World())[1:].tolist() == [True, False]
    assert spot_of(texts[0]) == Spot(48.85, 2.35)
    for nothing in (None, "{}", texts[1], '{"lat": true, "lon": [1]}', '{"lat": "nan"}'):
        assert all(map(math.isnan, spot_of(nothing))), nothing


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("distance(attributes.lat, attributes.lon, user.lat) < 3", 0, "distance(attributes.lat"),
        ("distance(user.lat, user.latt, 48, 2) < 3", 19, "'user.lat'"),
        ("distance(context.lat, context.lng, 48, 2) < 3", 22, "'context.lon'"),
        ('context.lat == "Paris"', 15, "a number must stand here"),
        ("stock > 0 and user.lon", 14, "a condition must stand here"),
        ("user.lat.brand == 1", 0, "'user.lat.brand'"),
        ("user.price < 3", 0, "'user.price'"),
        ("contains(user.lat, 'Home')", 9, "texts must stand here"),
        ("days_since(context.lat) < 3", 11, "a time must stand here"),
        ("lat > 3", 0, "'lat'"),
        ("distance(attributes.lat, attributes.lon, 48.86) < 3", 0, "distance(attributes.lat"),
        ("distance() < 3", 0, "distance(attributes.lat"),
        ("distnce(attributes.lat, attributes.lon, 1, 2) < 3", 0, "'distance'"),
        ('distance(price, stock, "48", 2) < 3', 23, "a text"),
        ("distance(brand, stock, 48, 2) < 3", 9, "a text"),
        ("distance(price, stock, 48, 2 < 3) < 3", 29, "a condition"),
        ("distance(price, stock, 48, 2)", 0, "a condition is needed"),
        ("distance(price, stock, 48, created) < 3", 27, "days_since"),
    ],
)
def test_mistakes_are_pointed_at(text: str, at: int, said: str) -> None:
    with pytest.raises(FilterError) as wrong:
        Expression.filter(text)
    assert wrong.value.at == at
    assert said in str(wrong.value)


def test_its_cost_is_bounded() -> None:
    text = " + ".join([f"distance({HERE}, 1, 2)"] * 30)
    assert unparse(parse(text)) == text
    columns = Columns(pa.table({"item_id": [f"i{at}" for at in range(60_000)]}))
    with pytest.raises(TooExpensiveError):
        Expression.boost(text).factor(columns, World())
    Expression.boost(f"distance({HERE}, 1, 2)").factor(columns, World())


def test_it_is_suggested() -> None:
    assert [one.text for one in suggest("stock > 0 and dist", Columns())[1]] == ["distance("]
    begun = f"distance({HERE}, "
    assert [one.text for one in suggest(f"{begun}user.l", Columns())[1]] == ["user.lat", "user.lon"]
    (found,) = suggest(f"{begun}context.la", Columns())[1]
    assert (found.text, found.kind) == ("context.lat", "scope")
    assert "degrees north" in found.about
    signs = [one.text for one in suggest("user.lat ", Columns())[1]]
    assert signs[:2] == ["<", "<="]


def test_a_slate_of_what_is_near() -> None:
    spots = [PARIS if at % 4 == 0 else SYDNEY for at in range(13)]
    state = MemoryState(catalogue(*spots))
    state.add("ann", "i02")
    near = f"distance({HERE}, {written((48.9, 2.3))}) < 20"
    (slate,) = Recommender(artefact()).recommend([Request(user_id="ann", k=9, filter=near)], state)
    assert {item.item_id for item in slate.items} == {"i00", "i04", "i08", "i12"}


def test_slates_know_where_the_shopper_is() -> None:
    spots = [PARIS if at % 2 == 0 else SYDNEY for at in range(13)]
    state = MemoryState(catalogue(*spots))
    state.add("ann", "i02")
    state.accounts["ann"] = Spot(*SYDNEY)
    recommender = Recommender(artefact())

    def shown(**more: Any) -> set[int]:
        request = Request(user_id="ann", **{"k": 13, **more})
        return {int(i.item_id[1:]) % 2 for i in recommender.recommend([request], state)[0].items}

    here = {"lat": PARIS[0], "lon": PARIS[1]}
    assert shown(filter=NEAR_ME, **here) == {0}
    assert shown(filter=NEAR_HOME, **here) == {1}
    assert shown(filter=f"{NEAR_ME} or {NEAR_HOME}", **here) == {0, 1}
    assert shown(filter=NEAR_ME) == shown(filter=NEAR_ME, lat=PARIS[0]) == set()
    assert shown(filter=NEAR_HOME, vouched=False) == set()
    assert shown(boost=f"1 * ({NEAR_HOME})", k=3) == {1}  # a factor of 0 leaves an item out
    for bad in ({"lat": 91.0}, {"lon": -180.5}, {"lat": math.nan}):
        with pytest.raises(ValueError, match=r"lat|lon"):
            Request(**bad)


def test_a_store_that_fails_leaves_the_account_nowhere_and_says_so() -> None:
    class Broken(MemoryState):
        def whereabouts(self, actor: str) -> Spot:
            raise StoreError("away")

    state = Broken(catalogue(PARIS, LONDON))
    (slate,) = Recommender(artefact()).recommend(
        [Request(user_id="ann", filter=f"not {NEAR_HOME}")], state
    )
    assert slate.degraded
    assert "account" in slate.reason
    assert slate.items


def test_the_place_of_the_documentation_falls_from_here_to_home_to_anywhere() -> None:
    page = Path(__file__).parents[2] / "docs" / "placements.md"
    blocks = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    (written_place,) = (block for block in blocks if "near-me" in block)
    told = tomllib.loads(written_place)["placements"]["near-me"]
    state = MemoryState(catalogue(*(PARIS if at % 2 else SYDNEY for at in range(13))))
    state.accounts["ann"] = Spot(*SYDNEY)
    recommender = Recommender(artefact()).placed({"near-me": Placement.parse(told)})

    def near(**more: Any) -> tuple[str, set[str]]:
        asked = Request(placement="near-me", k=5, **more)
        slate = recommender.recommend([asked], state)[0]
        towns = {"Paris" if int(item.item_id[1:]) % 2 else "Sydney" for item in slate.items}
        return slate.served_by, towns

    here = {"lat": PARIS[0], "lon": PARIS[1]}
    assert near(**here) == near(**here, user_id="ann") == ("near-me", {"Paris"})
    assert near(user_id="ann") == ("near-home", {"Sydney"})
    assert near(user_id="bob")[0] == near()[0] == "trending"

"""Kilometres between places: against vectors, unknown where a place is, bounded, and in a slate."""

import json
import math

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
from endcap.recommend.filters.suggest import suggest
from endcap.recommend.filters.world import World
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request

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


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
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


def test_a_slate_of_what_is_near() -> None:
    spots = [PARIS if at % 4 == 0 else SYDNEY for at in range(13)]
    state = MemoryState(catalogue(*spots))
    state.add("ann", "i02")
    near = f"distance({HERE}, {written((48.9, 2.3))}) < 20"
    (slate,) = Recommender(artefact()).recommend([Request(user_id="ann", k=9, filter=near)], state)
    assert {item.item_id for item in slate.items} == {"i00", "i04", "i08", "i12"}

"""Filters and boosts on the way from a request to its slate."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from recommend_worlds import MemoryState, artefact, catalogue_of, recipe

from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.errors import FilterError
from endcap.recommend.recipe import Recipe
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request

N_ITEMS, K = 1000, 10
IDS = [f"i{n:04}" for n in range(N_ITEMS)]


@pytest.fixture(scope="module")
def wide():
    """A shop of 1,000 items in which everybody has met some of each brand."""
    rng = np.random.default_rng(5)
    users, items = rng.integers(0, 200, 12_000), rng.integers(0, N_ITEMS, 12_000)
    data = Dataset.of([f"u{u}" for u in users], [IDS[i] for i in items])
    weights = {"item-knn": 1.0}
    return artefact(data, recipe(**weights))


@pytest.fixture
def world(wide):
    ids = wide.items.array.to_pylist()
    brands = ["Rare" if n % 50 == 0 else f"b{n % 7}" for n in range(len(ids))]
    prices = [float(n % 100) for n in range(len(ids))]
    state = MemoryState(catalogue_of(ids, brand=brands, price=prices))
    for n in (3, 40, 77, 120, 500):
        state.add("anna", ids[n], "view")
    state.add("anna", ids[350], "purchase")
    return state


def ask(model, state, **request):
    asked = Request(user_id="anna", k=K, **request)
    return Recommender(model).recommend([asked], state)[0]


def ids(slate):
    return [item.item_id for item in slate.items]


def test_a_filter_that_leaves_two_percent_gives_the_exact_best_of_them(wide, world):
    slate = ask(wide, world, filter='brand == "Rare"')
    allowed = np.arange(0, len(wide.items), 50)
    history = [wide.items.row(i) for i in world.history("anna").item_ids]
    weights = wide.weigh(
        world.history("anna").kinds,
        world.history("anna").times,
        int(max(world.history("anna").times)),
    )
    scores = wide.models["item-knn"].scores(Queries.of_histories([history], weights=[weights]))[0]
    allowed = allowed[allowed != 350]  # bought, so not offered again
    best = np.sort(np.nan_to_num(scores[allowed]))[::-1][:K]
    shown = wide.items.rows(ids(slate))
    assert set(shown) <= set(allowed)
    np.testing.assert_allclose(np.nan_to_num(scores[shown]), best, rtol=1e-5)
    assert len(ids(slate)) == K


def test_what_the_shopper_bought_is_looked_up_at_the_moment_of_asking(wide, world):
    asked = {"filter": "brand not in user.bought.brand and price < 50"}
    before = ask(wide, world, **asked)
    facts = {i: n for n, i in enumerate(wide.items.array.to_pylist())}
    assert all(facts[i] % 50 != 0 and facts[i] % 100 < 50 for i in ids(before))
    world.add("anna", ids(before)[0], "purchase", days_ago=0)
    bought = facts[ids(before)[0]] % 7
    assert all(facts[i] % 7 != bought for i in ids(ask(wide, world, **asked)))


def test_the_filter_holds_for_what_the_catalogue_alone_can_fill(wide, world):
    fresh = catalogue_of(["new1", "new2"], brand=["Rare", "b1"], price=[1.0, 1.0])
    world.shelf.upsert(fresh)
    world.columns.upsert(fresh)
    slate = ask(wide, world, filter='item in ["new1", "i0003", "new2"] and brand == "Rare"')
    assert ids(slate) == ["new1"]
    assert slate.degraded


def test_items_the_catalogue_does_not_hold_meet_no_condition(wide):
    state = MemoryState()
    state.add("anna", "i0003", "view")
    assert len(ids(ask(wide, state))) == K
    assert ids(ask(wide, state, filter="price < 1")) == []


def test_a_boost_multiplies_scores_and_leaves_reasons_alone(wide, world):
    plain = {item.item_id: item for item in ask(wide, world).items}
    last = list(plain)[-1]
    first = ask(wide, world, boost=f'1 + 9 * (item == "{last}")').items[0]
    assert first.item_id == last
    assert first.score == pytest.approx(10 * plain[last].score, rel=1e-6)
    assert first.reasons == plain[last].reasons


def test_a_placement_has_a_filter_of_its_own_beside_that_of_the_request(wide, world):
    told = wide.recipe.model_dump(mode="json")
    told["placements"]["home"] |= {"filter": 'brand == "b1"', "boost": "1 + (price > 90)"}
    model = artefact(Dataset.of(["u"], IDS[:1]), Recipe.parse(told))
    shown = ids(ask(model, world, filter="price < 20"))
    places = {i: n for n, i in enumerate(wide.items.array.to_pylist())}
    assert shown
    assert all(places[i] % 7 == 1 and places[i] % 100 < 20 for i in shown)


def test_an_attribute_nobody_has_is_an_error_in_a_request_and_unknown_in_a_placement(wide, world):
    with pytest.raises(FilterError, match=r"attributes\.colour"):
        ask(wide, world, filter="attributes.colour == 'red'")
    told = wide.recipe.model_dump(mode="json")
    told["placements"]["home"]["filter"] = "not has(attributes.colour)"
    model = artefact(Dataset.of(["u"], IDS[:1]), Recipe.parse(told))
    assert len(ids(ask(model, world))) == K


@pytest.mark.parametrize("field", ["filter", "boost"])
def test_a_broken_expression_is_refused_with_the_request_and_with_the_recipe(field):
    with pytest.raises(FilterError, match="must stand here"):
        Request(**{field: "price <"})
    told = recipe().model_dump(mode="json")
    told["placements"]["home"][field] = "price <"
    with pytest.raises(FilterError, match="must stand here"):
        Recipe.parse(told)


def test_numbers_beyond_what_a_float_holds_are_taken_nearly() -> None:
    far = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    columns = Columns(pa.table({"item_id": ["a"], "created": [far], "stock": [2**63 - 1]}))
    assert columns.number("stock")[1] == 2.0**63
    assert columns.number("created")[1] > 2.5e17
    columns.upsert(
        pa.table({"item_id": ["b", "c"], "attributes": ['{"n": 1' + "0" * 999 + "}", '{"n": 7}']})
    )
    unknown, known = columns.number("attributes.n")[2:]
    assert np.isnan(unknown)
    assert known == 7

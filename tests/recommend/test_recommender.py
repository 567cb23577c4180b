"""The pipeline on a checkerboard: what comes, what never comes, and who answers."""

import dataclasses
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recommend_worlds import NOW, MemoryState, artefact, catalogue_of, checkerboard, recipe

from endcap.models.base import Model
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request
from endcap.schema.errors import StoreError

ITEMS = [f"i{i:02}" for i in range(13)]


@pytest.fixture(scope="module")
def model():
    return artefact()


@pytest.fixture
def shop():
    state = MemoryState(catalogue_of([*ITEMS, "new"]))
    for item_id in ("i00", "i02", "i04"):
        state.add("ann", item_id)
    return state


def ids(slate):
    return [item.item_id for item in slate.items]


def ask(model, state, **request):
    return Recommender(model).recommend([Request(**request)], state)[0]


def test_the_even_shopper_gets_the_other_even_items(model, shop):
    slate = ask(model, shop, user_id="ann", k=4)
    assert sorted(ids(slate)) == ["i06", "i08", "i10", "i12"]
    assert (slate.served_by, slate.degraded, slate.reason) == ("personal", False, "")
    assert [item.rank for item in slate.items] == [1, 2, 3, 4]
    assert slate.items[0].properties == {"title": f"The {slate.items[0].item_id}"}
    assert slate.generated_at == NOW
    assert slate.artefact == "a"


def test_a_purchase_changes_the_next_answer(model, shop):
    before = ask(model, shop, user_id="ann", k=4)
    bought = ids(before)[0]
    shop.add("ann", bought, days_ago=0)
    after = ask(model, shop, user_id="ann", k=4)
    assert bought not in ids(after)
    assert bought in [reason.item_id for item in after.items for reason in item.reasons]


def test_a_brand_new_visitor_is_answered_from_what_they_just_did(model, shop):
    assert ask(model, shop, visitor_id="v", k=3).served_by == "trending"
    shop.add("visitor:v", "i01", kind="view", days_ago=0.001)
    slate = ask(model, shop, visitor_id="v", k=3)
    assert slate.served_by == "personal"
    assert all(int(item_id[1:]) % 2 for item_id in ids(slate))
    assert slate.items[0].reasons[0].event == "view"


@pytest.mark.parametrize(
    ("request_", "level"),
    [
        ({"user_id": "nobody"}, "trending"),
        ({}, "trending"),
        ({"placement": "similar", "context_items": ("i03",)}, "session"),
        ({"placement": "similar", "context_items": ("no-such-item",)}, "trending"),
        ({"placement": "smilar", "user_id": "ann"}, "personal"),
        ({"user_id": "\0", "k": 0}, "empty"),
    ],
)
def test_unknown_things_are_answered_and_said(model, shop, request_, level):
    slate = ask(model, shop, **{"k": 3, **request_})
    assert slate.served_by == level
    assert len(slate.items) == request_.get("k", 3)
    usual = level == {"similar": "session"}.get(slate.placement, "personal")
    assert slate.degraded == (slate.reason != "") == (not usual or slate.placement == "smilar") or (
        level == "empty"
    )


def test_an_unknown_placement_names_the_nearest(model, shop):
    assert "Did you mean 'similar'?" in ask(model, shop, placement="simlar").reason


def test_levels_fill_up_what_is_missing_down_to_items_younger_than_the_models(model, shop):
    slate = ask(model, shop, user_id="ann", k=50)
    assert sorted(ids(slate)) == sorted({*ITEMS, "new"} - {"i00", "i02", "i04"})
    assert {item.source for item in slate.items} >= {"trending", "catalogue"}
    assert ids(slate)[-1] == "new"
    assert slate.served_by == "personal"
    assert slate.degraded
    assert "personal: 4 of 50" in slate.reason


def test_without_any_model_the_catalogue_answers(shop):
    slate = Recommender(trouble="no model was trained yet").recommend([Request(k=3)], shop)[0]
    assert (slate.served_by, slate.artefact, len(slate.items)) == ("catalogue", "", 3)
    assert slate.degraded
    assert slate.reason.startswith("no model was trained yet")


def test_an_empty_world_gives_an_empty_slate():
    slate = Recommender().recommend([Request(user_id="ann")], MemoryState())[0]
    assert (slate.served_by, slate.items) == ("empty", ())
    assert slate.degraded


class Broken(MemoryState):
    def history(self, actor):
        raise StoreError("The disk is gone.")


def test_a_store_that_fails_does_not_empty_the_shelf(model):
    slate = ask(model, Broken(catalogue_of(ITEMS)), user_id="ann", k=3)
    assert slate.served_by == "trending"
    assert "cannot be read" in slate.reason


@dataclasses.dataclass(frozen=True)
class Failing(Model):
    def scores(self, queries):
        raise FloatingPointError("a bug in a plug-in")

    def contributions(self, query, items):
        raise FloatingPointError("a bug in a plug-in")


def with_failing(model, *names):
    bad = Failing(model.models["popular"].spec, model.users, model.items)
    return dataclasses.replace(model, models={**model.models, **dict.fromkeys(names, bad)})


def test_a_model_that_fails_is_left_out_of_the_blend(model, shop):
    slate = ask(with_failing(model, "ease"), shop, user_id="ann", k=4)
    assert slate.served_by == "personal"
    assert {item.source for item in slate.items} == {"item-knn"}
    assert slate.degraded
    assert slate.reason == "personal: model 'ease' failed"


def test_when_all_models_of_a_level_fail_the_next_level_answers(model, shop):
    slate = ask(with_failing(model, "ease", "item-knn", "trending"), shop, user_id="ann", k=4)
    assert slate.served_by == "popular"
    everything = ask(with_failing(model, *model.models), shop, user_id="ann", k=4)
    assert everything.served_by == "catalogue"
    assert len(everything.items) == 4


def test_seen_for_some_days_then_offered_again(shop):
    chosen = recipe().model_dump()
    chosen["placements"]["home"]["hide"] = {"kinds": ("purchase", "view"), "days": 30.0}
    model = artefact(made_by=type(recipe()).parse(chosen))
    shop.add("ann", "i06", days_ago=31)
    shop.add("ann", "i08", days_ago=29)
    shop.add("ann", "i10", kind="cart", days_ago=29)
    answer = ids(ask(model, shop, user_id="ann", k=50))
    assert "i06" in answer
    assert "i08" not in answer
    assert "i10" in answer


def test_the_moment_of_the_request_rules_over_the_clock(model):
    until = NOW + timedelta(days=1)
    state = MemoryState(catalogue_of(["i00", "i01"], expires=[until, None]))
    assert set(ids(ask(model, state, k=5))) == {"i00", "i01"}
    assert ids(ask(model, state, k=5, now=until)) == ["i01"]


worlds = st.fixed_dictionaries(
    {
        "catalogue": st.lists(st.sampled_from([*ITEMS, "new", "newer"]), unique=True),
        "out": st.sets(st.sampled_from(ITEMS)),
        "history": st.lists(
            st.tuples(st.sampled_from([*ITEMS, "gone"]), st.sampled_from(["purchase", "view"])),
            max_size=6,
        ),
        "exclude": st.lists(st.sampled_from([*ITEMS, "new", "?"]), max_size=4),
        "context": st.lists(st.sampled_from([*ITEMS, "?"]), max_size=2),
        "placement": st.sampled_from(["home", "similar", "?"]),
        "k": st.integers(0, 20),
        "broken": st.sets(st.sampled_from(["ease", "item-knn", "trending", "popular"])),
        "bare": st.booleans(),
        "seed": st.integers(0, 3),
    }
)


@settings(deadline=None, max_examples=40)
@given(worlds)
def test_the_forbidden_never_comes_and_the_shelf_is_as_full_as_it_can_be(model, world):
    stock = [0 if item_id in world["out"] else 1 for item_id in world["catalogue"]]
    state = MemoryState(catalogue_of(world["catalogue"], stock=stock) if stock else None)
    for item_id, kind in world["history"]:
        state.add("ann", item_id, kind)
    recommender = Recommender(None if world["bare"] else with_failing(model, *world["broken"]))
    request = Request(
        user_id="ann",
        placement=world["placement"],
        k=world["k"],
        seed=world["seed"],
        exclude=tuple(world["exclude"]),
        context_items=tuple(world["context"]),
    )
    slate = recommender.recommend([request], state)[0]
    bought = {i for i, kind in world["history"] if kind == "purchase"}
    hidden = set() if world["placement"] == "similar" else bought
    hidden |= set(world["exclude"]) | set(world["context"])
    shown = {i for i, left in zip(world["catalogue"], stock, strict=True) if left} - hidden
    got = ids(slate)
    assert len(got) == len(set(got)) <= world["k"]
    if stock:
        assert set(got) <= shown
        assert len(got) == min(world["k"], len(shown))
    else:
        assert not set(got) & hidden
    assert recommender.recommend([request], state)[0] == slate
    assert (slate.served_by == "empty") == (not got)


def test_a_batch_is_what_single_calls_are_bit_for_bit(model, shop):
    rng = np.random.default_rng(5)
    for user in range(17):
        for item in rng.choice(13, 4):
            shop.add(f"b{user}", f"i{item:02}", days_ago=float(rng.integers(1, 90)))
    requests = [Request(user_id=f"b{user}", k=6, seed=user) for user in range(17)]
    recommender = Recommender(model)
    together = recommender.recommend(requests, shop)
    assert together == [recommender.recommend([request], shop)[0] for request in requests]
    assert together[::-1] == recommender.recommend(requests[::-1], shop)


def test_seeds_break_ties_only(model, shop):
    answers = {tuple(ids(ask(model, shop, user_id="ann", k=4, seed=s))) for s in range(12)}
    assert len(answers) > 1  # the four even items are alike
    assert {tuple(sorted(answer)) for answer in answers} == {("i06", "i08", "i10", "i12")}
    slate = ask(model, shop, user_id="ann", k=4, seed=3)
    scores = [item.score for item in slate.items]
    assert scores == sorted(scores, reverse=True)


def test_an_answer_can_be_named_by_the_caller(model, shop):
    assert ask(model, shop, request_id="r-1").request_id == "r-1"
    derived = ask(model, shop).request_id
    assert derived == ask(model, shop).request_id != ask(model, shop, seed=1).request_id


def test_similar_items(model, shop):
    slate = Recommender(model).similar("i03", 4, shop)
    assert "i03" not in ids(slate)
    assert all(int(item_id[1:]) % 2 for item_id in ids(slate))
    assert {(r.kind, r.item_id) for item in slate.items for r in item.reasons} == {
        ("similar", "i03")
    }


def test_the_session_answers_where_the_history_has_nothing_to_say():
    model = artefact(checkerboard(), recipe(ials=1.0))
    silent = dataclasses.replace(
        model, models={k: v for k, v in model.models.items() if k != "ials"}
    )
    state = MemoryState(catalogue_of(ITEMS))
    state.add("ann", "i00", kind="view", days_ago=2)
    state.add("ann", "i01", kind="view", days_ago=0.01)
    slate = ask(silent, state, user_id="ann", k=3)
    assert slate.served_by == "session"
    assert {r.item_id for item in slate.items for r in item.reasons} == {"i01"}

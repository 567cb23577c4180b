"""Training without a recipe: choose, contend with what serves, fit on everything, report."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from endcap.evaluate.champion import contest
from endcap.evaluate.choosing import Chosen, choose
from endcap.evaluate.intervals import Interval
from endcap.evaluate.learning import Learnt, chances_for, learn, validation
from endcap.evaluate.learning_report import rows, said_of_chances, table, to_dict, write_html
from endcap.evaluate.lineup import Entrant
from endcap.evaluate.mixing import Mix
from endcap.evaluate.tuning import Trial
from endcap.evaluate.wiring import ADDED, recipe_of
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import DAY_US, Temporal
from endcap.recommend.artefacts import (
    current,
    listing,
    load_artefact,
    promote,
    publish,
    training_lock,
)
from endcap.recommend.recipe import HOME, Recipe, load_recipe
from endcap.recommend.slates.rules import Rules
from endcap.recommend.training import train
from endcap.schema.errors import DataError, WorseError
from endcap.schema.settings import Settings

FAST = {
    "popular": Entrant("popular", {"count": ("users", "events")}),
    "item-knn": Entrant("item-knn", {"decay_events": (0.0, 2.0)}, {"neighbours": 20}),
    "transitions": Entrant("transitions"),
}


def circle(days: int = 200, users: int = 83) -> Dataset:
    """Two tastes; within a taste, items are taken in a circle of 17 with some noise."""
    random = np.random.default_rng(5)
    who = np.repeat(np.arange(users), 13)
    step = np.tile(np.arange(13), users) + np.repeat(random.integers(0, 17, users), 13)
    noise = random.random(len(who)) < 0.3
    place = np.where(noise, random.integers(0, 17, len(who)), step) % 17
    items = place + 17 * (who % 2)
    when = np.sort(random.integers(0, days, (users, 13)), axis=1).ravel() * DAY_US
    return Dataset.of([f"u{u}" for u in who], [f"i{i}" for i in items], times=when)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return circle()


@pytest.fixture(scope="module")
def chosen(data: Dataset) -> Chosen:
    return choose(FAST, Trial.of(validation(data), heat_users=30))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("endcap.evaluate.learning.line_up", lambda *asked, **how: FAST)


@pytest.fixture
def learnt(data: Dataset, tmp_path: Path, quick: None) -> Learnt:
    return learn(data, tmp_path)


def test_four_weeks_or_a_fifth_are_held_back(data: Dataset) -> None:
    assert validation(data).rule == Temporal(days=28.0)
    assert validation(circle(days=60)).rule == Temporal(fraction=0.2)
    with pytest.raises(DataError):
        validation(Dataset.of(["u"], ["i"]))


def spoilt(data: Dataset) -> Dataset:
    """The same shoppers and times, but who took what has been mixed up."""
    users, items = data.users.ids(data.column("user")), data.items.ids(data.column("item"))
    mixed = np.random.default_rng(1).permutation(items).tolist()
    return Dataset.of(users, mixed, times=data.column("time"))


def test_models_that_foresee_far_less_do_not_take_over(
    data: Dataset, learnt: Learnt, tmp_path: Path
) -> None:
    with pytest.raises(WorseError, match=r"% less") as told:
        learn(spoilt(data), tmp_path)
    assert learnt.artefact.id in str(told.value)
    assert told.value.exit_code == 3
    assert current(tmp_path) == learnt.artefact.id
    assert len(listing(tmp_path)) == 1
    again = learn(data, tmp_path, seed=1)  # what is as good takes over as before
    assert current(tmp_path) == again.artefact.id


def test_twin_who_accepts_what_is_worse_gets_it(
    data: Dataset, learnt: Learnt, tmp_path: Path
) -> None:
    worse = learn(spoilt(data), tmp_path, accept_worse=True)
    assert current(tmp_path) == worse.artefact.id != learnt.artefact.id


def test_what_was_judged_in_another_way_is_not_compared(
    data: Dataset, learnt: Learnt, tmp_path: Path
) -> None:
    assert learn(spoilt(data), tmp_path, keep_seen=True).artefact.id == current(tmp_path)


def test_what_was_chosen_serves_and_says_how_it_came_about(learnt: Learnt, tmp_path: Path) -> None:
    artefact = learnt.artefact
    assert current(tmp_path) == artefact.id
    assert artefact.recipe.name == "chosen"
    assert artefact.facts["interactions"] == 83 * 13  # fitted on what was held back too
    choice = artefact.facts["choice"]
    assert choice["ndcg@10"] >= 0.99 * choice["best_single_ndcg@10"]
    assert choice["promoted"] is True
    personal = artefact.recipe.placements[HOME].levels[0]
    assert dict(personal.weights) == learnt.chosen.blend.weights
    assert set(personal.weights) <= set(artefact.models)


def test_chances_are_learnt_on_what_was_held_back_kept_and_reported(
    learnt: Learnt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = load_artefact(tmp_path, learnt.artefact.id).chances
    assert kept is not None
    assert ("personal", "purchase") in kept.curves
    judged = kept.facts["personal: purchase"]
    assert 0 <= judged["ece@10"] < judged["share@10"] < 1
    assert "personal: click" not in kept.facts  # nobody clicks in this shop
    assert to_dict(learnt)["chances"] == kept.facts
    assert any("personal: purchase" in line for line in said_of_chances(kept.facts))
    assert "personal: purchase" in write_html(learnt, tmp_path / "t.html").read_text()


def test_a_recipe_with_an_objective_learns_chances_and_one_without_does_not(data: Dataset) -> None:
    recipe = load_recipe("simple")
    assert chances_for(recipe, data) is None
    home = recipe.placements[HOME]
    rules = Rules.parse({"objective": {"revenue": 1.0}})
    places = {**recipe.placements, HOME: home.model_copy(update={"rules": rules})}
    found = chances_for(recipe.model_copy(update={"placements": places}), data)
    assert found is not None
    assert (home.levels[0].name, "purchase") in found.curves


def test_a_recipe_holds_the_settings_that_won(chosen: Chosen) -> None:
    recipe = recipe_of(chosen)
    assert Recipe.parse(recipe.model_dump(mode="json"), where="copy") == recipe
    for name, choice in chosen.choices.items():
        if name in recipe.models:
            assert repr(recipe.models[name].spec()) == repr(choice.model.spec)
    for name in ("home", "similar", "cart"):
        assert recipe.placements[name].levels[-1].weights == {"popular": 1.0}
    assert set(recipe.placements) == set(load_recipe().placements)
    on_sale = recipe.placements["on-sale"]
    assert dict(on_sale.levels[0].weights) == chosen.blend.weights
    assert on_sale.filter == load_recipe().placements["on-sale"].filter
    session = recipe.placements["similar"].levels[0]
    assert (session.name, session.evidence) == ("session", "context")
    assert dict(session.weights) == chosen.moment.weights


def test_other_places_are_answered_by_what_the_shop_recipe_begins_with(chosen: Chosen) -> None:
    """But for what is blended from models that are chosen."""
    shop, ours = load_recipe().placements, recipe_of(chosen).placements
    open_to_choice = {"home", "similar", "cart"}
    for name in sorted(set(shop) - open_to_choice):
        first = shop[name].levels[0]
        mine = [model for model in first.weights if model in ADDED]
        if mine and first.name != "personal":
            assert set(ours[name].levels[0].weights) >= set(mine), name
    goes_with = ours["bought-together"].levels[0]
    assert (goes_with.evidence, dict(goes_with.weights)) == ("history", {"beside": 1.0})
    assert recipe_of(chosen).models["beside"] == load_recipe().models["beside"]


def test_one_variant_of_each_product_is_shown_where_the_shop_recipe_says_so(chosen: Chosen) -> None:
    shop, ours = load_recipe().placements, recipe_of(chosen).placements
    assert {name: place.variants for name, place in ours.items()} == {
        name: place.variants for name, place in shop.items()
    }
    assert ours[HOME].variants == "one"


def test_groceries_may_come_again(data: Dataset) -> None:
    trial = Trial.of(validation(data), exclude_seen=False, heat_users=30)
    recipe = recipe_of(choose({"popular": Entrant("popular")}, trial))
    assert recipe.placements[HOME].hide.kinds == ("dismiss",)
    assert [level.name for level in recipe.placements["similar"].levels] == ["popular"]


def test_the_kind_to_foresee_is_a_setting(data: Dataset, tmp_path: Path) -> None:
    kinds = np.where(np.arange(data.interactions.num_rows) % 3, "wish", "purchase")
    several = Dataset.of(
        data.users.ids(data.column("user")),
        data.items.ids(data.column("item")),
        times=data.column("time"),
        kinds=kinds.tolist(),
    )
    settings = Settings.model_validate({"prepare": {"target": "wish"}})
    found = learn(several, tmp_path, settings=settings, budget_s=120)
    assert found.chosen is not None
    assert "behaviours" in found.chosen.choices
    assert found.chosen.trial.exam.split.protocol.endswith("target wish")
    assert found.artefact.recipe.placements[HOME].hide.kinds == ("wish", "dismiss")


def weak() -> Recipe:
    level = {"name": "personal", "weights": {"popular": 1.0}}
    return Recipe.parse(
        {
            "name": "weak",
            "models": {"popular": {"plugin": "popular"}},
            "placements": {HOME: {"levels": [level]}},
        },
        where="weak",
    )


def test_a_champion_is_judged_on_the_same_questions(chosen: Chosen) -> None:
    match = contest(weak(), chosen)
    assert match.score == pytest.approx(chosen.choices["popular"].score)
    assert match.gain == pytest.approx(chosen.blend.score - match.score)
    assert match.interval.low < match.gain < match.interval.high
    assert match.won
    itself = contest(recipe_of(chosen), chosen)
    assert itself.gain == pytest.approx(0.0)
    assert itself.won


def test_a_recipe_without_a_personal_level_does_not_contend(chosen: Chosen) -> None:
    level = {"name": "popular", "evidence": "none", "weights": {"popular": 1.0}}
    plain = weak().model_dump() | {"placements": {HOME: {"levels": [level]}}}
    assert contest(Recipe.parse(plain, where="plain"), chosen) is None


def test_a_better_champion_is_kept_and_fitted_anew(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    first = learn(data, tmp_path)
    poor = {"popular": Entrant("popular")}
    monkeypatch.setattr("endcap.evaluate.learning.line_up", lambda *asked, **how: poor)
    second = learn(data, tmp_path)
    assert not second.contest.won
    assert second.contest.interval.high < 0
    assert second.artefact.recipe == first.artefact.recipe
    assert second.artefact.id != first.artefact.id
    assert current(tmp_path) == second.artefact.id
    assert second.artefact.facts["choice"]["promoted"] is False


def test_a_champion_that_cannot_be_fitted_or_read_does_not_stand_in_the_way(
    data: Dataset, tmp_path: Path, quick: None
) -> None:
    before = train(data, weak(), tmp_path)
    gone = before.recipe.model_dump() | {"models": {"popular": {"plugin": "no-such-plug-in"}}}
    with training_lock(tmp_path):
        strange = replace(before, id="20990101T000000000-00000000", recipe=Recipe(**gone))
        publish(tmp_path, strange)
        promote(tmp_path, strange.id)
    assert learn(data, tmp_path).contest is None
    serving = tmp_path / "models" / current(tmp_path) / "manifest.json"
    serving.write_text("{}", encoding="utf-8")
    assert learn(data, tmp_path).contest is None


def test_too_few_shoppers_get_the_shop_recipe_and_a_reason(tmp_path: Path) -> None:
    found = learn(circle(users=20), tmp_path)
    assert found.chosen is None
    assert "shoppers can be asked" in found.reason
    assert found.artefact.recipe == load_recipe()
    assert to_dict(found)["reason"] == found.reason
    page = write_html(found, tmp_path / "training.html").read_text(encoding="utf-8")
    assert found.reason in page


def test_nothing_to_learn_from_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to learn"):
        learn(Dataset.of([], []), tmp_path)
    assert listing(tmp_path) == []


def test_the_report_tells_all_that_was_tried(learnt: Learnt, tmp_path: Path) -> None:
    told = to_dict(learnt)
    assert json.loads(json.dumps(told, allow_nan=False))["metric"] == "ndcg@10"
    assert {row["name"] for row in told["models"]} == set(FAST)
    assert [row["score"] for row in told["models"]] == sorted(
        (row["score"] for row in told["models"]), reverse=True
    )
    shown = table(learnt.chosen)
    assert shown.row_count == len(FAST)
    page = write_html(learnt, tmp_path / "reports" / "training.html").read_text(encoding="utf-8")
    for name in FAST:
        assert f"<td>{name}</td>" in page
    assert f"{learnt.chosen.blend.score:.4f}" in page
    assert "<script" not in page


def test_what_is_not_in_the_blend_adds_nothing(chosen: Chosen) -> None:
    part = chosen.blend.parts
    name = next(iter(part))
    lone = replace(chosen, blend=Mix({name: 1.0}, chosen.blend.values, {name: part[name]}, 1))
    told = {row["name"]: row for row in rows(lone)}
    assert isinstance(part[name].interval, Interval)
    for other in set(told) - {name}:
        assert told[other]["weight"] == 0.0
        assert told[other]["adds"] is None


def test_seconds_are_those_of_the_clock(data: Dataset, tmp_path: Path, quick: None) -> None:
    ticks = iter(range(10_000))
    found = learn(data, tmp_path, clock=lambda: float(next(ticks)), budget_s=1e6)
    assert found.seconds > found.chosen.seconds > 0
    assert timedelta(seconds=found.seconds) < timedelta(seconds=10_000)


def test_where_nothing_is_said_of_items_the_knob_of_variety_is_not_reported(
    learnt: Learnt, tmp_path: Path
) -> None:
    assert learnt.artefact.facts["diversity"] == []
    page = write_html(learnt, tmp_path / "t.html").read_text(encoding="utf-8")
    assert "What variety costs" not in page

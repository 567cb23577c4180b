"""Rules as they are written, put into arrays, and composed."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from endcap.features.labels import labels
from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.errors import FilterError
from endcap.recommend.filters.world import World
from endcap.recommend.slates.alike import likeness, shared
from endcap.recommend.slates.compose import compose
from endcap.recommend.slates.posing import Posed, Shelf, pose
from endcap.recommend.slates.problem import Bound, Problem
from endcap.recommend.slates.rules import Rules, load_rules
from endcap.recommend.state import History
from endcap.schema.errors import ConfigError, DataError, RequestError

IDS = [f"i{n}" for n in range(12)]
COLUMNS = Columns(
    pa.table(
        {
            "item_id": IDS,
            "brand": ["A", "A", "A", "A", "A", "A", "B", "B", "C", "C", None, None],
            "categories": [["Home > Lights"]] * 6 + [["Garden"]] * 6,
            "price": [10.0 + n for n in range(12)],
            "sale_price": [None] * 9 + [5.0, 5.0, 5.0],
        }
    )
)
SCORES = np.linspace(1.0, 0.45, 12)
NAN = float("nan")


def posed(rules: dict, k: int = 5, world: World | None = None, **shelf) -> Posed:
    parsed = Rules.parse(rules)
    return pose(parsed, k, Shelf(IDS, SCORES, **shelf), COLUMNS, world or World())


def slate(rules: dict, k: int = 5, **more) -> tuple[list[str], dict]:
    asked = posed(rules, k, **more)
    composed = compose(asked.problem)
    return [asked.item_ids[at] for at in composed.order], {e.name: e for e in composed.effects}


def test_without_rules_the_best_come_first() -> None:
    assert slate({}) == (IDS[:5], {})


def test_rules_are_solved_together_and_each_says_its_price() -> None:
    rules = {
        "exclude": "price == 10",
        "pins": [{"item": "i11", "position": 2}],
        "quotas": [
            {"by": "brand", "max": 2},
            {"where": "discount > 0.3", "min_share": 0.4, "name": "on sale"},
        ],
    }
    items, effects = slate(rules)
    assert items[1] == "i11"
    assert "i0" not in items
    assert sum(i in IDS[:6] for i in items) <= 2
    assert sum(i in IDS[9:] for i in items) == 2
    assert list(effects) == ["at most 2 of each brand", "on sale", "pin at 2"]
    assert all(effect.met for effect in effects.values())
    gain = 1 / np.log2(np.arange(2, 7))
    free = SCORES[[1, 2, 6, 7, 8]] @ gain  # brand quota alone: A A B B C
    assert effects["at most 2 of each brand"].price > 0
    assert effects["on sale"].price > 0
    assert 0 < effects["pin at 2"].price < 1 - SCORES[11] * gain[1] / free


def test_the_price_is_what_the_best_slate_without_the_rule_has_more() -> None:
    items, effects = slate(
        {"quotas": [{"where": 'brand == "C"', "min": 1, "first": 1, "name": "C"}]}
    )
    assert items == ["i8", "i0", "i1", "i2", "i3"]
    gain = 1 / np.log2(np.arange(2, 7))
    lost = 1 - (SCORES[[8, 0, 1, 2, 3]] @ gain) / (SCORES[:5] @ gain)
    assert effects["C"].price == pytest.approx(lost)
    assert effects["C"].moved == 1


def test_what_cannot_be_met_gives_way_in_the_order_of_precedence() -> None:
    garden = {"where": 'contains(categories, "Garden")', "min": 4, "name": "garden"}
    lights = {"where": 'contains(categories, "Home")', "min": 3, "name": "home"}
    _, effects = slate({"quotas": [garden, lights]})
    assert effects["garden"].met
    assert effects["home"].relaxed == "at least 3 became 1"
    _, effects = slate({"quotas": [lights, garden]})
    assert effects["home"].met
    assert effects["garden"].relaxed == "at least 4 became 2"


def test_a_full_slate_comes_before_an_upper_limit() -> None:
    items, effects = slate({"quotas": [{"by": "brand", "max": 0, "name": "none"}]}, k=4)
    assert len(items) == 4
    assert effects["none"].relaxed == "at most 0 became 1"


def test_fatigue_lowers_and_then_hides() -> None:
    rules = {"fatigue": {"cap": 4, "half_after": 1.0}}
    items, _ = slate(rules, shown={"i0": 4, "i1": 3, "i2": 0})
    assert items == ["i2", "i3", "i4", "i5", "i6"]


def test_unclicked_counts_start_again_with_a_click() -> None:
    did = [("a", "impression", 1, NAN), ("a", "click", 2, NAN), ("a", "impression", 3, NAN)]
    did += [("b", "impression", 4, NAN), ("b", "impression", 5, NAN)]
    assert History.of(did).unclicked() == {"a": 1, "b": 2}


def test_calibration_follows_the_mix_of_the_shopper() -> None:
    world = World({"user.bought": COLUMNS.rows(["i0", "i11"])})
    plain, _ = slate({}, k=6, world=world)
    mixed, effects = slate({"calibration": 0.9}, k=6, world=world)
    assert plain == IDS[:6]
    assert sum(i in IDS[6:] for i in mixed) == 3
    assert effects["calibration"].price > 0


@pytest.mark.parametrize("method", ["pairs", "mmr", "dpp", "ssd"])
def test_diversity_tells_apart_what_is_alike(method: str) -> None:
    texts = ["red desk lamp"] * 6 + ["green garden rake"] * 3 + ["blue tea pot"] * 3
    items, effects = slate(
        {"diversity": 0.6, "method": method}, k=3, about=[{"title": text} for text in texts]
    )
    assert {texts[IDS.index(i)] for i in items} == set(texts)
    assert effects["diversity"].price > 0


def test_reach_shows_what_nobody_was_shown() -> None:
    seen = dict.fromkeys(IDS[:11], 50)
    items, _ = slate({"reach": 1.0}, exposure=seen)
    assert "i11" in items


def test_pins_that_are_not_on_offer_are_said() -> None:
    assert posed({"pins": [{"item": "gone", "position": 1}]}).unset == ("gone",)
    assert posed({"pins": [{"item": "i3", "position": 9}]}).unset == ("i3",)


def test_ssd_looks_back_over_its_window_only() -> None:
    likely = np.eye(4, dtype=np.float32)
    likely[0, 3] = likely[3, 0] = 1.0
    relevance = np.array([1.0, 0.5, 0.5, 0.9])
    near = compose(Problem(4, relevance, likely, diversity=0.7, method="ssd", window=2))
    assert abs(near.order.tolist().index(0) - near.order.tolist().index(3)) > 1


def test_windows_overlap_as_they_like() -> None:
    odd = np.array([0, -1] * 6, np.int32)
    bounds = (Bound("one", odd, lo=1, hi=1, first=2), Bound("all", odd, lo=3, first=6))
    order = compose(Problem(6, SCORES.copy(), bounds=bounds)).order
    assert np.count_nonzero(order[:2] % 2 == 0) == 1
    assert np.count_nonzero(order % 2 == 0) >= 3


@pytest.mark.parametrize(
    ("rules", "error", "said"),
    [
        ({"diversty": 0.1}, ConfigError, "diversity"),
        ({"quotas": [{"max": 2}]}, ConfigError, "either where or by"),
        ({"quotas": [{"by": "prise", "max": 2}]}, ConfigError, "no field of texts"),
        ({"pins": [{"position": 1}]}, ConfigError, "either an item or items"),
        ({"pins": [{"item": "a", "items": ["b"], "position": 1}]}, ConfigError, "either an item"),
        (
            {"pins": [{"items": ["a", "b"], "position": 1}, {"item": "b", "position": 2}]},
            ConfigError,
            "Two",
        ),
        ({"quotas": [{"by": "brand", "min": 2}]}, ConfigError, "lower limit"),
        ({"quotas": [{"where": "pric < 5", "max": 2}]}, FilterError, "Did you mean 'price'"),
        ({"exclude": "price <"}, FilterError, "must stand here"),
        (
            {"pins": [{"item": "a", "position": 1}, {"item": "b", "position": 1}]},
            ConfigError,
            "Two",
        ),
        ({"diversity": 1.5}, ConfigError, "diversity"),
    ],
)
def test_rules_are_strict(rules: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Rules.parse(rules)


def test_nothing_left_is_said() -> None:
    with pytest.raises(RequestError, match="Nothing is left"):
        posed({"exclude": "true"})


def test_files_that_are_no_rules_are_named(tmp_path: Path) -> None:
    for text in (None, "quotas = ["):
        path = tmp_path / "rules.toml"
        if text is not None:
            path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=r"rules\.toml"):
            load_rules(path)


def test_likeness_is_that_of_words() -> None:
    alike = likeness(["red lamp", "red lamp", "tea pot", ""])
    assert alike[0, 1] == pytest.approx(1)
    assert alike[0, 2] < 0.2
    assert np.diag(alike).tolist() == [1, 1, 1, 1]


def test_likeness_by_attributes_is_that_of_brand_and_categories() -> None:
    told = [
        {"title": "red lamp", "brand": "A", "categories": ["Home > Lights"]},
        {"title": "blue lamp", "brand": "B", "categories": ["Home>Lights", "Sale"]},
        {"title": "red rake", "brand": "A", "categories": ["Garden"]},
        {"title": "Red Hat"},
    ]
    named = [labels(one) for one in told]
    assert named[0] == ["brand A", "Home", "Home > Lights"]
    assert named[3] == ["red", "hat"]
    alike = shared(named)
    assert alike[0, 1] == pytest.approx(2 / np.sqrt(3 * 4))
    assert alike[0, 2] == pytest.approx(1 / np.sqrt(3 * 2))
    assert alike[0, 3] == 0
    assert shared([["all", "x"], ["all", "y"]])[0, 1] == 0  # what all bear tells nothing
    items, _ = slate({"diversity": 0.6, "likeness": "attributes"}, k=2, about=told * 3)
    assert "i3" in items


def test_each_value_of_an_attribute_is_counted_for_itself() -> None:
    sellers = pa.array([f'{{"seller": "{"xy"[n > 7]}"}}' for n in range(12)])
    columns = Columns(pa.table({"item_id": IDS, "attributes": sellers}))
    rules = Rules.parse({"quotas": [{"by": "attributes.seller", "max": 3}]})
    rules.check(columns)
    posed = pose(rules, 6, Shelf(IDS, SCORES), columns, World())
    order = compose(posed.problem).order
    assert np.count_nonzero(order > 7) == 3
    wrong = Rules.parse({"quotas": [{"by": "attributes.sellr", "max": 3}]})
    with pytest.raises(ConfigError, match=r"attributes\.seller"):
        wrong.check(columns)
    unmet = compose(pose(wrong, 6, Shelf(IDS, SCORES), columns, World()).problem).order
    assert unmet.tolist() == [0, 1, 2, 3, 4, 5]


def test_pinned_items_take_turns() -> None:
    rules = Rules.parse({"pins": [{"items": ["i7", "i8", "i9"], "position": 2, "hours": 6}]})
    hour = 3_600_000_000
    turns = [rules.at(at * hour).pins[0].item for at in (0, 5, 6, 12, 18, 23)]
    assert turns == ["i7", "i7", "i8", "i9", "i7", "i7"]
    assert rules.at(0).pins[0].position == 2


def test_what_was_shown_long_ago_may_count_no_more() -> None:
    did = [("a", "impression", at, NAN) for at in (1, 5, 9)]
    assert History.of(did).unclicked(since=5) == {"a": 2}
    day = 86_400_000_000
    fatigue = Rules.parse({"fatigue": {"cap": 3, "days": 2}}).fatigue
    assert fatigue.since(10 * day) == 8 * day

"""Models side by side: marks reckoned by hand, baselines present, nothing of the future asked."""

import io
import json

import numpy as np
import pytest
from evaluate_worlds import Watched, Wish, power_law, shop
from rich.console import Console

from endcap.evaluate.comparing import compare, evaluate, examine
from endcap.evaluate.comparison import Comparison
from endcap.evaluate.exam import Exam
from endcap.evaluate.glossary import GLOSSARY
from endcap.evaluate.judging import judge
from endcap.models.candidates import Candidates
from endcap.prepare.split import HeldOutUsers, Temporal
from endcap.schema.errors import PluginError

ROWS = [
    ("ann", "a", 0),
    ("ann", "c", 90),
    ("bob", "a", 1),
    ("bob", "b", 2),
    ("bob", "c", 91),
    ("bob", "d", 92),
    ("cid", "d", 93),
]


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    models = {"good": Wish(order=("i00", "i20", "i01", "i21")), "broken": Wish(fails=True)}
    return evaluate(models, power_law(), ks=(3, 5))


def test_marks_by_hand() -> None:
    exam = Exam.of(Temporal(days=28).apply(shop(ROWS)))
    result = examine("wish", Wish(order=("a", "c", "b", "d")), exam, ks=(1, 2))
    # ann: a is hers, so c leads: a hit at 1. bob: c, d: two hits at 1 and 2. cid is cold: c, not d.
    assert result.per_user["recall@1"].tolist() == [1.0, 0.5, 0.0]
    assert result.per_user["ndcg@2"].tolist() == [1.0, 1.0, 0.0]
    assert result.figures["ndcg@2"] == 1.0  # of ann and bob, who have a history
    assert result.figures["precision@2"] == 0.75
    assert result.figures["coverage@1"] == 0.25
    assert [(b.label, b.n) for b in result.by_history if b.n] == [("0", 1), ("1-2", 2)]
    assert result.by_history[0].value == 0.0
    cold = next(band for band in result.by_popularity if band.label == "cold")
    assert (cold.n, cold.value) == (4, 0.5)
    assert result.places_taken[0].value == pytest.approx(2 / 3)  # c, c of c, c, a
    assert result.cost.fit_s >= 0
    assert result.cost.peak_mb > 10
    assert result.settings["order"] == ["a", "c", "b", "d"]


def test_baselines_are_always_there_and_failures_are_named(comparison: Comparison) -> None:
    assert {result.name for result in comparison.results} == {"good", "popular", "item-knn"}
    assert comparison.skipped == {"broken": "asked to fail"}
    assert comparison["popular"].name == "popular"


def test_models_are_ordered_and_compared_with_the_best(comparison: Comparison) -> None:
    values = [result.figures["ndcg@3"] for result in comparison.results]
    assert values == sorted(values, reverse=True)
    assert comparison.best is comparison.results[0]
    assert comparison.against_best[0].difference == 0.0
    for result, paired in zip(comparison.results, comparison.against_best, strict=True):
        apart = result.figures["ndcg@3"] - comparison.best.figures["ndcg@3"]
        assert paired.difference == pytest.approx(apart)


def test_figures_lie_in_their_intervals_and_means_are_of_the_users(comparison: Comparison) -> None:
    for result in comparison.results:
        for key, value in result.figures.items():
            low, high = result.intervals[key]
            assert low <= value + 1e-9, key
            assert value <= high + 1e-9, key
            assert key.partition("@")[0] in GLOSSARY
        warm = comparison.counts["warm_users"]
        assert len(result.per_user["ndcg@3"]) == comparison.counts["users"] >= warm
    assert {"diversity@3", "miscalibration@3", "coverage@5", "gini@5"} <= set(
        comparison.best.figures
    )


def test_everything_repeats_with_the_seed() -> None:
    models = {"good": Wish(order=("i00", "i20"))}
    first, second = (evaluate(models, power_law(), ks=(3,), baselines=()) for _ in range(2))
    third = evaluate(models, power_law(), ks=(3,), baselines=(), seed=1)
    assert first.best.figures == second.best.figures == third.best.figures
    assert first.best.intervals == second.best.intervals
    assert first.best.intervals != third.best.intervals
    assert first.fingerprint == second.fingerprint


def test_training_data_ends_before_the_questions_and_queries_hold_no_target() -> None:
    data = power_law()
    split = Temporal(days=28).apply(data)
    asked: list = []
    exam = Exam.of(split)
    model = Watched(Wish(), data.users, data.items, asked)
    model.retrieve(exam.queries, 5)
    query = asked[0]
    assert split.train.end < query.now.min()
    assert query.times.max() < split.held.column("time").min()


def test_strangers_are_asked_by_strong_generalisation() -> None:
    found = evaluate({}, power_law(), split=HeldOutUsers(fraction=0.3), ks=(3,))
    assert "held-out users" in found.protocol
    assert found["item-knn"].figures["ndcg@3"] > 0


def test_a_split_made_already_is_taken_as_it_is() -> None:
    data = power_law()
    split = Temporal(days=14).apply(data)
    assert evaluate({}, data, split=split, ks=(3,)).protocol == split.protocol


def test_progress_is_told() -> None:
    told: list[tuple[int, int, str]] = []
    evaluate({}, power_law(), ks=(3,), progress=lambda *row: told.append(row))
    assert told == [(0, 2, "popular"), (1, 2, "item-knn"), (2, 2, "")]


def test_unknown_baseline_is_named() -> None:
    with pytest.raises(PluginError, match="popular"):
        evaluate({}, power_law(), baselines=("popula",))


def test_ratings_are_marked_too() -> None:
    stars = [5.0, 1.0, 4.0, 3.0, 5.0, 4.0, 4.0]
    data = shop(ROWS, values=stars)
    found = evaluate({"wish": Wish(order=("a",), stars=4.0)}, data, ks=(1,), baselines=())
    ratings = found.best.ratings
    assert ratings is not None
    assert ratings.n == 4
    assert ratings.mae == pytest.approx((3 + 1 + 0 + 0) / 4)
    assert found.to_dict()["models"]["wish"]["ratings"]["rmse"] == pytest.approx(np.sqrt(10 / 4))


def test_lists_of_others_can_be_judged_and_may_be_empty() -> None:
    exam = Exam.of(Temporal(days=28).apply(power_law()))
    nothing = judge("mute", Candidates.of([[] for _ in range(len(exam))]), exam, (3,))
    assert nothing.figures["ndcg@3"] == 0.0
    assert nothing.figures["coverage@3"] == 0.0
    assert np.isnan(nothing.figures["novelty@3"])
    told = compare(exam, [nothing], (3,)).to_dict()
    assert told["models"]["mute"]["figures"]["novelty@3"] is None


def test_plain_values_are_json(comparison: Comparison) -> None:
    text = json.dumps(comparison.to_dict(), allow_nan=False)
    plain = json.loads(text)
    assert plain["metric"] == "ndcg@3"
    assert plain["models"]["popular"]["by_history"][0]["label"] == "0"
    assert plain["counts"]["items"] == 40


def test_table_and_markdown_name_every_model(comparison: Comparison) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(comparison.table())
    text = console.export_text()
    markdown = comparison.markdown()
    for result in comparison.results:
        assert result.name in text
        assert f"| {result.name} | " in markdown
    low, high = comparison.best.intervals["ndcg@3"]
    assert f"[{low:.4f}, {high:.4f}]" in text
    assert markdown.splitlines()[1].count("---") == markdown.splitlines()[0].count("|") - 1

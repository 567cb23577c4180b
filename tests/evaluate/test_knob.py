"""The knob `diversity`, measured on what a shop held back, and how a training reports it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from endcap.evaluate.exam import Exam
from endcap.evaluate.knob import KNOB, plain, turned
from endcap.evaluate.learning import learn
from endcap.evaluate.learning_report import said_of_knob, to_dict, write_html
from endcap.evaluate.lineup import Entrant
from endcap.evaluate.metrics import hits, ndcg
from endcap.evaluate.ranking import learn_ranker, rank_lists
from endcap.evaluate.tuning import Trial
from endcap.models.item_knn import ItemKNN
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import DAY_US, Temporal


def titled(users: int = 120) -> Dataset:
    """Two tastes of thirty items each, of which one in four is another kind of thing."""
    rng = np.random.default_rng(0)
    lines = [(u, i) for u in range(users) for i in rng.permutation(30)[:8] + 30 * (u % 2)]
    titles = [f"{'red lamp' if i % 4 else 'blue pot'} {i // 4}" for i in range(60)]
    return Dataset.of(
        [f"u{user}" for user, _ in lines],
        [f"i{item}" for _, item in lines],
        times=rng.integers(0, 200, len(lines)) * DAY_US,
        catalogue=pa.table({"item_id": [f"i{i}" for i in range(60)], "title": titles}),
    )


def test_it_starts_at_relevance_alone_and_ends_at_variety_alone() -> None:
    trial = Trial.of(Temporal(fraction=0.4).apply(titled()))
    exam = trial.exam
    model = ItemKNN().fit(exam.split.train)
    curve = turned({"item-knn": model}, {"item-knn": 1.0}, exam, 4)
    assert [turn.diversity for turn in curve] == list(KNOB)
    assert curve[-1].ild > 1.2 * curve[0].ild
    found = ndcg(hits(model.retrieve(exam.queries, 4), exam.targets, 4), exam.targets.counts, 4)
    assert curve[0].ndcg == pytest.approx(float(found[exam.warm].mean()))
    assert said_of_knob(plain(curve)).startswith("diversity (variety won for NDCG lost): 0.05: ")
    few = turned({"item-knn": model}, {"item-knn": 1.0}, exam, 4, most=5)
    assert few != curve


def test_behind_a_second_stage_it_asks_whom_that_did_not_learn_from() -> None:
    exam = Trial.of(Temporal(fraction=0.4).apply(titled())).exam
    models, weights = {"item-knn": ItemKNN().fit(exam.split.train)}, {"item-knn": 1.0}
    few = {"verbosity": -1, "objective": "lambdarank", "num_threads": 1, "min_data_in_leaf": 5}
    ranked = learn_ranker(models, weights, exam, 4, enough=50, rounds=5, settings=few)
    curve = turned(models, weights, exam, 4, ranked=ranked)
    judging = Exam.of(exam.split.among(ranked.judges))
    lists = rank_lists(models, weights, ranked.ranker, judging.queries, 4)
    found = ndcg(hits(lists, judging.targets, 4), judging.targets.counts, 4)
    assert curve[0].ndcg == pytest.approx(float(found[judging.warm].mean()))
    assert curve[-1].ild > curve[0].ild


def test_a_training_reports_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line_up = {"item-knn": Entrant("item-knn")}
    monkeypatch.setattr("endcap.evaluate.learning.line_up", lambda *asked, **how: line_up)
    learnt = learn(titled(), tmp_path)
    assert [row["diversity"] for row in to_dict(learnt)["diversity"]] == list(KNOB)
    assert "What variety costs here" in write_html(learnt, tmp_path / "t.html").read_text()
    facts = {**learnt.artefact.facts, "diversity": []}
    silent = replace(learnt, artefact=replace(learnt.artefact, facts=facts))
    assert "What variety costs" not in write_html(silent, tmp_path / "t.html").read_text()
    assert said_of_knob([]) == ""

"""The benchmarks of filters, slates and diversity, in their quick forms."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import __main__ as front
from benchmarks import diversity
from endcap.evaluate.ranking import learn_ranker
from endcap.features.labels import item_labels


@pytest.mark.parametrize("name", ["filters", "slates"])
def test_times_are_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert front.run([name, "--quick"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["figures"]["p99_ms"] >= found["figures"]["p50_ms"] > 0


def test_the_knob_trades_accuracy_for_variety(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(60), 12)
    items = random.integers(0, 15, len(users)) + 15 * (users % 2)
    words = ["red desk lamp", "green garden rake", "blue tea pot", "tall book shelf"]
    pq.write_table(
        pa.table({"user_id": users, "item_id": items}), tmp_path / "interactions.parquet"
    )
    titles = [f"{words[i % 4]} {i}" for i in range(30)]
    pq.write_table(pa.table({"item_id": range(30), "title": titles}), tmp_path / "items.parquet")
    picture = tmp_path / "curve.svg"
    argv = ["--data", str(tmp_path), "--quick", "--models", "item-knn", "--picture", str(picture)]
    assert front.run(["diversity", *argv]) == 0
    models = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]
    assert models["knob 0"] == models["plain"]
    assert models["knob 1"]["ild"] > models["plain"]["ild"]
    assert "<svg" in picture.read_text(encoding="utf-8")


def test_below_a_second_stage_the_blend_is_shown_beside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    when = np.sort(random.integers(0, 200, (80, 24)), axis=1).ravel() * 86_400
    users, items = np.repeat(np.arange(80), 24), random.integers(0, 30, 80 * 24)
    rows = {"user_id": users, "item_id": items, "timestamp": when}
    pq.write_table(pa.table(rows), tmp_path / "interactions.parquet")
    titles = [f"{'red lamp' if i % 3 else 'blue pot'} {i % 5}" for i in range(30)]
    pq.write_table(pa.table({"item_id": range(30), "title": titles}), tmp_path / "items.parquet")
    few = {"verbosity": -1, "objective": "lambdarank", "num_threads": 1, "min_data_in_leaf": 5}
    learn = partial(learn_ranker, enough=50, rounds=5, settings=few)
    monkeypatch.setattr(diversity, "learn_ranker", learn)
    argv = ["--data", str(tmp_path), "--quick", "--models", "item-knn", "--rank", "--windows", "1"]
    assert front.run(["diversity", *argv]) == 0
    models = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]
    assert models["knob 0"] == models["plain"]
    assert models["blend alone"] != models["plain"]


def test_an_objective_wins_what_it_weighs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(80), 24)
    items = random.integers(0, 30, len(users)) + 30 * (users % 2)
    when = np.sort(random.integers(0, 200, (80, 24)), axis=1).ravel() * 86_400
    rows = {"user_id": users, "item_id": items, "timestamp": when}
    pq.write_table(pa.table(rows), tmp_path / "interactions.parquet")
    prices = [1.0 + 19 * (i % 7 == 0) for i in range(60)]
    pq.write_table(pa.table({"item_id": range(60), "price": prices}), tmp_path / "items.parquet")
    argv = ["--data", str(tmp_path), "--quick", "--models", "item-knn", "--budget", "20s"]
    assert front.run(["objectives", *argv]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["models"]["revenue"]["revenue@10"] > said["models"]["relevance"]["revenue@10"]
    assert said["models"]["profit"]["profit@10"] > said["models"]["relevance"]["profit@10"]
    assert said["figures"]["purchase: hits@10"] == 0
    assert 0 <= said["figures"]["ece@10"] < 0.2
    low, high = said["intervals"]["revenue: revenue@10"]
    assert low <= said["figures"]["revenue: revenue@10"] <= high


def test_attributes_are_alike_by_the_labels_they_share() -> None:
    table = pa.table(
        {
            "title": ["red", "red", "red", "red", "red"],
            "brand": ["Acme", "Acme", None, "Zeta", "Zeta"],
            "categories": [["All > Nails"], ["All > Nails"], ["All > Hair"], ["All > Hair"], None],
        }
    )
    vectors = diversity.attributes(item_labels(table))
    alike = (vectors @ vectors.T).toarray()
    assert alike[0, 1] == pytest.approx(1)
    assert alike[0, 2] == 0  # the root of all categories tells nothing
    assert alike[2, 3] == pytest.approx(1 / np.sqrt(2))
    assert alike[3, 4] == pytest.approx(1 / np.sqrt(2))
    assert alike[4, 4] == pytest.approx(1)

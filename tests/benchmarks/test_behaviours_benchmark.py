"""The benchmark of several behaviours on a folder never seen."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import __main__ as front
from benchmarks import behaviours, data, study
from endcap.models.behaviours import Behaviours


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Who collects an item buys it later, one time in two; else they buy what chance brings."""
    random = np.random.default_rng(0)
    rows = []
    for user in range(90):
        wished, bought = random.permutation(40)[:6], 40 + random.permutation(9)[:4]
        rows += [(user, item, "collect", "train") for item in wished]
        rows += [(user, item, "buy", "train") for item in (wished[0], *bought)]
        rows += [(user, item, "buy", "valid") for item in (wished[1], int(random.integers(49)))]
        rows += [(user, item, "buy", "test") for item in (wished[2], int(random.integers(49)))]
    users, items, events, parts = map(list, zip(*rows, strict=True))
    path = tmp_path_factory.mktemp("data") / "never-seen"
    path.mkdir()
    table = pa.table({"user_id": users, "item_id": items, "event": events, "split": parts})
    pq.write_table(table, path / "interactions.parquet")
    return path


def test_what_was_collected_beats_what_was_bought_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert front.run(["behaviours", "--data", str(folder), "--quick"]) == 0
    said = capsys.readouterr().out
    found = json.loads(said.splitlines()[-1])
    assert {"ease", "ease (purchase)", "behaviours", "item-knn (purchase)"} <= set(found["models"])
    assert found["best_single"].endswith("(purchase)")
    figures = found["models"]
    assert found["over_single"] == pytest.approx(
        found["figures"]["ndcg@10"] / figures[found["best_single"]]["ndcg@10"]
    )
    assert found["over_single"] > 1.5
    assert figures["behaviours"]["hit@10"] > figures["ease (purchase)"]["hit@10"]
    assert "only what was taken by purchase is excluded" in found["protocol"]
    assert "published" not in said.splitlines()[-2]


def test_a_ranker_needs_lists_to_learn_from(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["behaviours", "--data", str(folder), "--quick", "--models", "item-knn", "--rank"]
    assert front.run(asked) == 0
    said = capsys.readouterr()
    assert "ranker: 90 lists are too few for a ranker: 5,000" in said.err
    assert "ranker" not in json.loads(said.out.splitlines()[-1])["models"]


def test_the_target_is_a_flag(folder: Path) -> None:
    args = study.parser(None).parse_args(["--models", "ease,behaviours"])
    found = behaviours.rivals(args, data.load(folder), "wish")
    assert list(found) == ["ease (wish)", "popular", "ease", "behaviours"]
    assert found["ease (wish)"].fixed == {"kinds": ("wish",)}
    assert found["behaviours"].fixed == {"target": "wish"}
    assert Behaviours.model_fields["target"].default == "purchase"

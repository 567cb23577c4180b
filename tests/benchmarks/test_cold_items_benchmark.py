"""Cold items are held out of everything that is learnt, and found by what they are called."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import __main__ as front
from benchmarks import cold_items
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import LastOut

TASTES = ("tea", "oil", "wax", "ink", "yarn", "clay")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six tastes of ten items each; an item's name tells its taste."""
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(300), 6)
    order = np.concatenate([random.permutation(10)[:6] for _ in range(300)])
    path = tmp_path_factory.mktemp("data") / "never-seen"
    path.mkdir()
    columns = {
        "user_id": users,
        "item_id": order + 10 * (users % 6),
        "pos": np.tile(np.arange(6), 300),
    }
    pq.write_table(pa.table(columns), path / "interactions.parquet")
    titles = [f"{TASTES[i // 10]} thing {chr(97 + i % 10)}" for i in range(60)]
    pq.write_table(pa.table({"item_id": np.arange(60), "title": titles}), path / "items.parquet")
    return path


def test_runs_on_a_folder_never_seen(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cold_items, "BOUND", 1.0)  # in so small a shop, ten places are all there is
    assert front.run(["cold_items", "--data", str(folder), "--quick", "--deep"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    figures = found["figures"]
    assert figures["strength"] in cold_items.STRENGTHS
    assert figures["cold_recall@10"] > found["priors"]["random"]
    assert found["models"]["popular"]["cold recall@10"] == 0
    towers = found["models"]["two-tower, known items only"]
    assert towers["cold recall@10"] == 0
    assert towers["warm recall@10"] > 0
    kept_out = found["models"]["aligned, known items only (transitions)"]
    assert kept_out["cold recall@10"] == 0
    losses = [
        1 - found["models"]["aligned"][name] / kept_out[name]
        for name in ("warm recall@10", "warm ndcg@10")
    ]
    np.testing.assert_allclose(
        losses, [figures["warm_recall_loss@10"], figures["warm_ndcg_loss@10"]], atol=1e-9
    )


def test_nothing_is_learnt_of_items_held_out() -> None:
    data = Dataset.of(["u"] * 4 + ["v"] * 4, list("abcdbcda"))
    cold = np.array([False, True, False, False])
    split = cold_items.without(LastOut().apply(data), cold)
    for part in (split.train, split.history):
        assert part.interactions.num_rows
        assert not cold[part.column("item")].any()
    assert split.held.interactions.num_rows == 2


def test_the_strength_with_the_most_cold_hits_within_bounds_is_chosen() -> None:
    def row(found: float, lost: float) -> dict[str, float]:
        return {"cold_recall": found, "recall_loss": lost, "ndcg_loss": 0.0}

    tried = {1.0: row(0.1, 0.0), 2.0: row(0.2, cold_items.BOUND), 3.0: row(0.3, 0.05)}
    assert cold_items.chosen(tried) == 2.0
    assert cold_items.chosen({3.0: row(0.3, 0.05)}) == 0.0

"""The prequential benchmark on a small folder: each basket is asked about before it happens."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import data, live
from endcap.prepare.split import Temporal

DAY = 86_400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(60), 10)
    path = tmp_path_factory.mktemp("stream") / "stream"
    path.mkdir()
    columns = {
        "user_id": users,
        "item_id": random.integers(0, 15, len(users)) + 15 * (users % 2),
        "timestamp": random.integers(0, 120 * DAY, len(users)),
    }
    pq.write_table(pa.table(columns), path / "interactions.parquet")
    return path


def test_it_ends_with_figures_of_both(folder: Path) -> None:
    found = live.main(["--data", str(folder), "--days", "14", "--quick"])
    assert 0 <= found["figures"]["ndcg@10"] <= 1
    assert "live 0.0 0.0" in found["models"]
    low, high = found["intervals"]["gain"]
    assert low <= found["figures"]["gain"] <= high


def test_baskets_come_in_the_order_of_time_with_what_was_before(folder: Path) -> None:
    split = Temporal(days=14).apply(data.load(folder).data)
    seen = {
        u: split.history.column("item")[split.history.column("user") == u].tolist()
        for u in range(60)
    }
    last = 0
    for basket in live.baskets(split, 10_000):
        assert basket.time >= last
        last = basket.time
        assert basket.before.tolist() == seen[basket.user]
        seen[basket.user] += basket.items.tolist()
    assert sum(map(len, seen.values())) == 600

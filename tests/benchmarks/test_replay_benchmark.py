"""The replay benchmark on a small shop: every slate comes again."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import replay


def test_every_slate_comes_again(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(40), 10)
    columns = {
        "user_id": users,
        "item_id": random.integers(0, 15, len(users)) + 15 * (users % 2),
        "timestamp": random.integers(1_700_000_000, 1_702_000_000, len(users)),
    }
    pq.write_table(pa.table(columns), tmp_path / "interactions.parquet")
    found = replay.main(["--data", str(tmp_path), "--slates", "12", "--recipe", "simple"])
    assert found["figures"]["identical"] == 1.0
    assert found["figures"]["artefacts"] == 2
    assert found["figures"]["dropped"] == 0

"""The benchmark of placements: on a shop whose baskets, habits and categories are known."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import __main__ as front

DAY = 86_400


def shop(folder: Path) -> None:
    """Each week a pan with its lid and the shopper's milk, each fifth week a soap."""
    rng = np.random.default_rng(3)
    rows = []
    for user in range(80):
        for week in range(20):
            when = DAY * (7 * week + user % 7) + 60 * user
            pair = int(rng.integers(0, 6))
            held = [2 * pair, 2 * pair + 1, 20 + user % 3]
            if (week + user) % 5 == 0:
                held.append(30 + user % 2)
            rows += [(user, item, when) for item in held]
    columns = dict(zip(("user_id", "item_id", "timestamp"), zip(*rows, strict=True), strict=True))
    pq.write_table(pa.table(columns), folder / "interactions.parquet")
    ids = [*range(12), 20, 21, 22, 30, 31]
    kinds = [
        "pan" if i < 12 and i % 2 == 0 else "lid" if i < 12 else f"dairy {i // 10}" for i in ids
    ]
    pq.write_table(
        pa.table(
            {
                "item_id": ids,
                "department": ["HOME"] * len(ids),
                "product_category": kinds,
                "product_type": [f"{kind} {i}" for kind, i in zip(kinds, ids, strict=True)],
            }
        ),
        folder / "items.parquet",
    )


def test_what_is_known_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop(tmp_path)
    assert front.run(["placements", "--data", str(tmp_path), "--quick"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    models, figures = found["models"], found["figures"]
    assert models["together"]["recall@10"] >= models["popular"]["recall@10"]
    assert models["together"]["recall@10"] > models["random"]["recall@10"]
    assert figures["again_recall@10"] >= 0.9 * figures["frequency_recall@10"]
    assert figures["apart_auc_behaviour"] > 0.8
    assert figures["kin_substitutes"] > figures["kin_together"]
    spec = {"borrow", "damp", "half_life_days", "source_norm"}
    assert set(found["settings"]["together"]) == {*spec, "own", "had before counts"}
    assert models["known together"]["recall@10"] >= models["together"]["recall@10"]


def test_a_folder_without_times_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(
        pa.table({"user_id": [1, 1], "item_id": [1, 2]}), tmp_path / "interactions.parquet"
    )
    assert front.run(["placements", "--data", str(tmp_path)]) == 3
    assert "clock" in capsys.readouterr().err

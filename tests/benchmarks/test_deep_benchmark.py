"""The benchmark of the sequence model runs on a folder never seen."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import __main__ as front
from endcap.evaluate import lineup


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Shoppers who walk around a circle of items."""
    users = np.repeat(np.arange(60), 8)
    items = (users * 7 + np.tile(np.arange(8), 60)) % 25
    table = {"user_id": users, "item_id": items, "pos": np.tile(np.arange(8), 60)}
    pq.write_table(pa.table(table), tmp_path / "interactions.parquet")
    return tmp_path


def test_it_ends_with_its_figures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["deep", "--quick", "--data", str(folder), "--set", "epochs=3"]
    assert front.run([*argv, "--set", "learning_rate=0.02"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["settings"]["epochs"] == 3
    assert found["figures"]["epochs"] == 3
    assert found["figures"]["test_ndcg@10"] > 0.3
    assert found["figures"]["tokens_per_s"] > 0
    assert set(found["intervals"]["ndcg@10"]) != {0.0}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (["--set", "epochs"], "epochs=2"),
        (["--set", "epoch=2"], "'epochs'"),
        (["--peers", "recbol"], "'recbole'"),
    ],
)
def test_what_is_wrong_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], wrong: list[str], named: str
) -> None:
    assert front.run(["deep", "--data", str(folder), *wrong]) == 2
    assert named in capsys.readouterr().err


def test_it_takes_part_where_there_is_an_order_and_pytorch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    profile = lineup.Profile(
        10, 10, 100, ordered=True, clocked=True, titled=0, labelled=0, repeated=0
    )
    assert lineup.line_up(profile)["sasrec"].guess_s(10) == 60 * lineup.DEEP_MINUTES
    blind = lineup.Profile(
        10, 10, 100, ordered=False, clocked=False, titled=0, labelled=0, repeated=0
    )
    assert "sasrec" not in lineup.line_up(blind)
    monkeypatch.setattr(lineup, "find_spec", lambda name: None)
    assert "sasrec" not in lineup.line_up(profile)

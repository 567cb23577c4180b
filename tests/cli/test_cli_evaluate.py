"""``endcap evaluate`` on a shop's folder and on a folder of research data."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from endcap.cli.app import run
from endcap.events.opening import open_store
from endcap.schema.settings import StoreSettings
from endcap.schema.tables import EVENTS

ARGS = ("evaluate", "--model", "popular", "--json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(40), 10)
    columns = {
        "user_id": users,
        "item_id": random.integers(0, 20, len(users)),
        "timestamp": random.integers(0, 100 * 86_400, len(users)),
        "split": (["train"] * 8 + ["valid", "test"]) * 40,
    }
    path = tmp_path_factory.mktemp("research")
    pq.write_table(pa.table(columns), path / "interactions.parquet")
    pq.write_table(pa.table(columns).drop_columns(["split"]), path / "plain.parquet")
    return path


def told(argv: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    assert run([*ARGS, *argv]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("flags", "protocol"),
    [
        (["--days", "10"], "global temporal split at 1970-03-3"),
        (["--since", "1970-03-02"], "global temporal split at 1970-03-02T00:00:00 UTC"),
        (["--split", "last"], "each user's last 1 out"),
        (["--split", "users"], "4 held-out users"),
        (["--split", "fixed"], "fixed split, fitted on train+valid"),
    ],
)
def test_splits(
    flags: list[str], protocol: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(["--data", str(folder), *flags], capsys)
    assert found["protocol"].startswith(protocol)
    assert set(found["models"]) == {"popular", "item-knn"}


def test_flags_reach_the_comparison(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--k", "3", "--k", "7", "--keep-seen", "--max-users", "11", "--seed", "5"]
    found = told(["--data", str(folder), *flags, "--model", "popular:count=events"], capsys)
    assert (found["ks"], found["exclude_seen"], found["seed"]) == ([3, 7], False, 5)
    assert found["counts"]["users"] == 11
    assert "popular:count=events" in found["models"]


def test_table_and_report(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.html"
    assert run(["evaluate", "--data", str(folder), "--html", str(report)]) == 0
    out, err = capsys.readouterr()
    for name in ("popular", "item-knn", "ease", "trending"):
        assert name in out
    assert f"report: {report}" in err
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model", "popula"], "Did you mean 'popular'?"),
        (["--split", "fixed"], "no column 'split'"),
        ([], "no clock times"),
    ],
)
def test_mistakes_exit_2_and_say_what_to_do(
    flags: list[str],
    message: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = pq.read_table(folder / "plain.parquet").drop_columns(["timestamp"])
    pq.write_table(table, tmp_path / "interactions.parquet")
    assert run(["evaluate", "--data", str(tmp_path), *flags]) == 2
    assert message in capsys.readouterr().err


def test_a_shop_is_evaluated_from_its_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(1)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    times = [start + timedelta(minutes=int(m)) for m in random.integers(0, 100 * 1440, 300)]
    rows = [
        {
            "event_id": f"e{n}",
            "kind": "purchase",
            "time": time,
            "received": time + timedelta(seconds=1),
            "user_id": f"u{n % 30}",
            "item_id": f"i{random.integers(0, 12)}",
        }
        for n, time in enumerate(times)
    ]
    store = open_store(StoreSettings(folder=tmp_path / "shop"))
    assert store.log.append(pa.Table.from_pylist(rows, schema=EVENTS)).stored == 300
    store.close()
    found = told(["--folder", str(tmp_path / "shop"), "--split", "temporal"], capsys)
    assert found["counts"]["items"] == 12
    assert found["counts"]["users"] > 10


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "--help"]) == 0
    assert "endcap evaluate --model ease" in capsys.readouterr().out

"""``endcap export`` on a small shop."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from endcap.cli.app import run
from endcap.events.opening import open_store
from endcap.schema.settings import StoreSettings
from endcap.schema.tables import EVENTS, ITEMS

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shop")
    events = [
        {
            "event_id": f"e{u}-{i}",
            "kind": "purchase",
            "user_id": f"u{u:02}",
            "item_id": f"i{i:02}",
            "time": START + timedelta(hours=13 * u + i),
            "received": START + timedelta(hours=13 * u + i),
        }
        for u in range(29)
        for i in range(13)
        if (u - i) % 2 == 0 and i != u % 13
    ]
    items = [{"item_id": f"i{i:02}", "title": f"The {i}", "brand": f"b{i % 5}"} for i in range(13)]
    store = open_store(StoreSettings(folder=place))
    store.log.append(pa.Table.from_pylist(events, schema=EVENTS))
    store.catalogue.upsert_items(pa.Table.from_pylist(items, schema=ITEMS))
    store.close()
    assert run(["train", "--recipe", "shop", "--folder", str(place)]) == 0
    return place


def test_slates_of_everybody(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "slates.parquet"
    asked = ["slates", "--out", str(out), "--k", "3", "--folder", str(folder), "--quiet"]
    assert run(["export", *asked]) == 0
    rows = pq.read_table(out).to_pylist()
    assert len({row["user_id"] for row in rows}) == 29
    assert len(rows) == 87
    assert all(row["why"] for row in rows)


def test_buy_again_says_when(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.csv"
    asked = ["--out", str(out), "--placement", "buy-again", "--folder", str(folder), "--quiet"]
    assert run(["export", "slates", *asked]) == 0
    lines = out.read_text(encoding="utf-8").splitlines()
    assert "due" in lines[0]
    assert len(lines) > 29
    assert "2026-" in lines[1]


def test_whom_an_item_is_for(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["audience", "--item", "i04", "--folder", str(folder), "--quiet"]
    assert run(["export", *asked]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "user_id,item_id,score"
    assert lines[1].split(",")[0] in {"u04"}  # the only even one who lacks it
    out = tmp_path / "audience.parquet"
    assert run(["export", *asked, "--out", str(out), "--k", "1"]) == 0
    assert pq.read_table(out)["user_id"].to_pylist() == ["u04"]


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["slates", "--out", "x.xls"], 2, ".parquet or .csv"),
        (["slates", "--out", "x.csv", "--placement", "hmoe"], 2, "'home'"),
        (["slates", "--out", "x.csv", "--filter", "pirce < 1"], 2, "'price'"),
        (["audience", "--item", "nothing"], 2, "nothing"),
    ],
)
def test_mistakes_are_named(
    folder: Path, argv: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", *argv, "--folder", str(folder), "--quiet"]) == code
    assert said in capsys.readouterr().err


def test_without_a_model_there_is_nothing_to_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "slates", "--out", "x.csv", "--folder", str(tmp_path)]) == 1
    assert "endcap train" in capsys.readouterr().err

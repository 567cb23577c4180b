"""``endcap import`` is told what a shop's own columns mean, and says which it does not know."""

import json
from pathlib import Path

import pytest

from endcap.cli.app import run
from endcap.schema.errors import ConfigError

ROWS = "artnr,who,bought_on,colour\np1,u1,2026-11-01,red\np2,u2,2026-11-02,blue\n"
JSON = [{"artnr": "p1", "who": "u1", "Bought_On": "2026-11-01"}]
NAMED = ("artnr=item_id", "who=user_id", "bought_on=time")


@pytest.fixture(params=["orders.csv", "orders.jsonl"])
def orders(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / str(request.param)
    path.write_text(ROWS if path.suffix == ".csv" else "\n".join(map(json.dumps, JSON)))
    return path


def words(named: tuple[str, ...]) -> list[str]:
    return [word for one in named for word in ("--column", one)]


def test_columns_mean_what_is_said(orders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["--folder", str(orders.parent / "shop"), "--json"]
    assert run(["import", str(orders), *folder, *words(NAMED)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["receipts"]["events"]["stored"] == (2 if orders.suffix == ".csv" else 1)
    assert said["files"][0]["unknown"] == (["colour"] if orders.suffix == ".csv" else [])


def test_a_column_in_the_way_steps_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "e.csv"
    path.write_text("user_id,item_id,time,sent\nu1,p1,never,2026-11-01\n")
    assert run(["import", str(path), "--dry-run", "--json", "--column", "sent=time"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["receipts"]["events"]["stored"] == 1
    assert said["files"][0]["unknown"] == ["time_"]


def test_settings_say_it_for_good(orders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = orders.parent / "endcap.toml"
    said = "\n".join(f'{one.split("=")[0]} = "{one.split("=")[1]}"' for one in NAMED)
    config.write_text(f"[events.columns]\n{said}\n")
    assert run(["import", str(orders), "--dry-run", "--json", "--config", str(config)]) == 0
    assert json.loads(capsys.readouterr().out)["receipts"]["events"]["quarantined"] == 0


def test_where_most_rows_lack_a_field_the_columns_left_are_named(
    orders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["import", str(orders), "--dry-run", *words(NAMED[:2])]) == 0
    out = capsys.readouterr().out
    assert "--column bought_on=time" in out.lower()
    assert run(["import", str(orders), "--dry-run", *words(NAMED)]) == 0
    assert "--column" not in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["bought_on=tme", "bought_on", "=time"])
def test_mistakes_are_named(orders: Path, wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import", str(orders), "--dry-run", "--column", wrong]) == ConfigError.exit_code
    said = capsys.readouterr().err
    assert "time" in said
    assert wrong.split("=")[0] in said

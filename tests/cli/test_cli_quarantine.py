"""``endcap quarantine``."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from endcap.cli.app import run

GOOD = {"kind": "view", "user_id": "u1", "item_id": "a", "time": "2024-05-01T10:00:00Z"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [GOOD, {**GOOD, "user_id": None}, {**GOOD, "time": "yesterday"}]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(["import", str(tmp_path / "events.jsonl"), "--folder", str(tmp_path / "shop")]) == 0
    return tmp_path / "shop"


def test_it_counts_reasons_and_names_places(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(["quarantine", "--folder", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "missing-actor" in told
    assert "events.jsonl:3" in told.replace("\n", "")


def test_exported_mended_and_imported_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder.parent / "mended.jsonl"
    wanted = ["--reason", "missing-actor", "--export", str(out), "--folder", str(folder)]
    assert run(["quarantine", *wanted]) == 0
    assert "1 rows written" in capsys.readouterr().err
    mended = [json.loads(line) | {"user_id": "u9"} for line in out.read_text().splitlines()]
    out.write_text("".join(json.dumps(row) + "\n" for row in mended))
    assert run(["import", str(out), "--folder", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["receipts"]["events"]["stored"] == 1


def test_rows_of_a_columnar_file_leave_as_objects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(
        pa.table({"kind": ["view"], "item_id": ["a"], "user_id": [""]}), tmp_path / "e.parquet"
    )
    assert run(["import", str(tmp_path / "e.parquet"), "--folder", str(tmp_path / "shop")]) == 0
    capsys.readouterr()
    assert run(["quarantine", "--export", "-", "--folder", str(tmp_path / "shop")]) == 0
    assert json.loads(capsys.readouterr().out)["item_id"] == "a"


def test_a_misspelt_reason_is_answered_with_the_nearest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["quarantine", "--reason", "mising-actor", "--folder", str(folder)]) == 2
    assert "Did you mean 'missing-actor'?" in capsys.readouterr().err


def test_nothing_is_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["quarantine", "--folder", str(tmp_path)]) == 0
    assert "Nothing is in quarantine." in capsys.readouterr().out

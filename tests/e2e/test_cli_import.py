"""``endcap import`` as a person and as a script use it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from endcap.cli.app import run
from endcap.events.opening import open_store
from endcap.schema.settings import StoreSettings

SAMPLES = Path(__file__).parents[1] / "data" / "dialects"


def test_json_on_stdout_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,kind,time\nu,i,buy,2024-01-01\nu,i,byu,2024-01-01\n")
    for stored in (1, 0):
        assert run(["import", str(path), "--folder", str(tmp_path / "data"), "--json"]) == 0
        out = json.loads(capsys.readouterr().out)
        assert out["receipts"]["events"]["stored"] == stored
        assert out["files"][0]["dialect"] == "endcap"
        assert out["reasons"]["unknown-kind"]["first"] == f"{path}:3"
        assert out["first"] == "2024-01-01T00:00:00+00:00"


def test_tables_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(SAMPLES / "ml-latest")
    assert run(["import", folder, "--folder", str(tmp_path / "data")]) == 0
    out = capsys.readouterr().out
    assert "movielens" in out
    assert "of no known dialect"[:5] in out
    assert "rating 3; from 1996" in out
    assert run(["import", str(SAMPLES / "segment"), "--dry-run", "--no-progress"]) == 0
    out = capsys.readouterr().out
    assert "would store" in out
    assert "Coupon" in out
    assert not (tmp_path / "endcap-data").exists()


def test_what_cannot_be_read_exits_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "poem.txt"
    path.write_text("Nothing of a shop.\n")
    assert run(["import", str(path), "--dry-run"]) == 3
    assert run(["import", str(tmp_path / "none.csv"), "--dry-run"]) == 3
    assert "does not exist" in capsys.readouterr().err
    assert run(["import", str(path), "--dialect", "ga5", "--dry-run"]) == 2
    assert "Did you mean 'ga4'?" in capsys.readouterr().err


def test_a_killed_import_is_completed_by_running_it_again(tmp_path: Path) -> None:
    rows = [f"u{n % 997},i{n % 313},view,{1_700_000_000 + n}" for n in range(60_000)]
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,kind,time\n" + "\n".join(rows) + "\n")
    settings = StoreSettings(folder=tmp_path / "data")
    open_store(settings).close()
    command = [
        sys.executable,
        "-m",
        "endcap",
        "import",
        str(path),
        "--folder",
        str(settings.folder),
    ]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    watch = open_store(settings)
    try:
        give_up = time.monotonic() + 60
        while watch.log.count() < 20_000 and time.monotonic() < give_up:
            time.sleep(0.002)
        child.kill()
        child.wait()
        kept = watch.log.count()
        assert 20_000 <= kept < 60_000
    finally:
        watch.close()
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    receipt = json.loads(done.stdout)["receipts"]["events"]
    assert receipt["received"] == 60_000
    assert receipt["stored"] == 60_000 - receipt["duplicate"]
    assert receipt["duplicate"] >= kept
    store = open_store(settings)
    try:
        ids = [i for batch in store.log.scan() for i in batch["event_id"].to_pylist()]
    finally:
        store.close()
    assert len(ids) == len(set(ids)) == 60_000

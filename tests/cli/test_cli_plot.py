"""``endcap plot heatmap`` on a file and on a shop's folder."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from endcap.cli.app import run


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    path = tmp_path / "ratings.csv"
    rows = ["user,item,rating", *(f"{u},{i},{1 + (u * i) % 5}" for u in range(5) for i in range(7))]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_a_picture_of_a_ratings_file(
    ratings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "map.svg"
    words = ["--ratings", str(ratings), "--users", "1,zz", "--items", "3, 4", "--out", str(out)]
    assert run(["plot", "heatmap", *words]) == 0
    printed = capsys.readouterr()
    assert printed.out.strip() == str(out)
    assert "'zz' is not in the data" in printed.err
    assert out.read_text(encoding="utf-8").startswith("<?xml")


def test_other_models_can_be_drawn(ratings: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.png"
    words = ["--ratings", str(ratings), "--model", "item-knn", "--out", str(out)]
    assert run(["plot", "heatmap", *words]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_misspelt_model_is_named(ratings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plot", "heatmap", "--ratings", str(ratings), "--model", "eese"]) == 2
    assert "Did you mean 'ease'" in capsys.readouterr().err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    events = tmp_path / "events.csv"
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        f"{u}-{i},purchase,{(start + timedelta(days=2 * u, hours=3 * i)).isoformat()},u{u},i{i}"
        for u in range(12)
        for i in range(9)
        if (u + i) % 2
    ]
    events.write_text("\n".join(["event_id,kind,time,user_id,item_id", *rows]), encoding="utf-8")
    assert run(["import", str(events), "--folder", str(tmp_path / "shop")]) == 0
    return tmp_path / "shop"


def test_a_picture_of_a_shop_before_and_after_training(folder: Path, tmp_path: Path) -> None:
    words = ["plot", "heatmap", "--folder", str(folder), "--users", "u1", "--out"]
    assert run([*words, str(tmp_path / "fitted.svg"), "--model", "popular"]) == 0
    assert run(["train", "--folder", str(folder)]) == 0
    assert run([*words, str(tmp_path / "served.svg")]) == 0
    assert "predicted" not in (tmp_path / "served.svg").read_text(encoding="utf-8")
    assert (tmp_path / "fitted.svg").stat().st_size > 5_000

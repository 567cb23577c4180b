"""``endcap plot heatmap`` on a file and on a shop's folder."""

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

"""``endcap train`` without a recipe, on a shop small enough to be searched in seconds."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.progress import Progress

from endcap.cli import train_
from endcap.cli.app import run
from endcap.evaluate.lineup import Entrant

FAST = {
    "popular": Entrant("popular"),
    "item-knn": Entrant("item-knn", {"decay_events": (0.0, 2.0)}),
    "broken": Entrant("ease", fixed={"max_items": 1}),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("endcap.evaluate.learning.line_up", lambda profile, **asked: FAST)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        f"{u}-{n},purchase,{(start + timedelta(days=12 * n + u % 11)).isoformat()},"
        f"u{u},i{(u // 2 * 5 + n) % 17 + 17 * (u % 2)}"
        for u in range(79)
        for n in range(12)
    ]
    events = tmp_path / "events.csv"
    events.write_text("\n".join(["event_id,kind,time,user_id,item_id", *rows]), encoding="utf-8")
    shop = tmp_path / "shop"
    assert run(["import", str(events), "--folder", str(shop)]) == 0
    return shop


def test_train_chooses_reports_and_defends(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", "--folder", str(folder), "--budget", "1m"]) == 0
    first = capsys.readouterr()
    assert "blend: NDCG@10" in first.err
    assert "left out: broken" in first.err
    page = folder / "reports" / "training.html"
    assert first.out.strip() in page.read_text(encoding="utf-8")
    assert run(["train", "--folder", str(folder), "--json", "--budget", "1m"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["recipe"] == "chosen"
    assert told["learning"]["contest"]["champion"] == "chosen"
    assert told["learning"]["contest"]["gain"] == pytest.approx(0.0)
    assert run(["train", "--folder", str(folder)]) == 0
    assert "against recipe chosen" in capsys.readouterr().err


def test_groceries_are_not_hidden(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--folder", str(folder), "--keep-seen", "--json"]) == 0
    recipe = json.loads(capsys.readouterr().out)["learning"]["recipe"]
    assert recipe["placements"]["home"]["hide"]["kinds"] == ["dismiss"]


def test_a_wrong_budget_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", "--folder", str(tmp_path / "none"), "--budget", "soon"]) == 2
    assert "Write 90s, 10m or 1h" in capsys.readouterr().err


def test_each_model_has_one_bar_and_the_time_another() -> None:
    with Progress(disable=True) as bars:
        told = train_.Tellers(bars, 60.0)
        told("ease")(0, 3, "first settings")
        told("ease")(2, 3)
        told("blend")(1, 2)
        names = [task.fields["name"] for task in bars.tasks]
        assert names == ["time, s", "ease", "blend"]
        assert (bars.tasks[1].completed, bars.tasks[1].total) == (2, 3)
        assert bars.tasks[0].description.endswith("s left")
        plain = train_.Tellers(bars, None)
        plain("popular")(1, 1)
        assert bars.tasks[-1].fields["name"] == "popular"

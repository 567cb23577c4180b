"""What people see of a run: terminal, JSON, page."""

import json
from xml.etree import ElementTree

import pytest
from prepare_worlds import NOW, at, events
from rich.console import Console

from endcap.prepare.run import prepare


@pytest.fixture(scope="module")
def report():
    rows = [
        {"item_id": "cup", "user_id": "ann"},
        {"kind": "view", "item_id": "<b>lamp & co</b>", "user_id": "bob", "time": at(days=3)},
        {"kind": "impression", "item_id": "<script>x</script>"},
        {"user_id": None},
        {"time": at(days=500)},
    ]
    return prepare(events(*rows), now=NOW).report


def test_the_terminal_shows_every_step_and_what_is_left(report):
    console = Console(width=120)
    with console.capture() as caught:
        console.print(report.to_rich())
    said = caught.get()
    for words in ("read", "5", "actors", "nobody is named", "clocks", "-1"):
        assert words in said
    assert "2 interactions of 2 users with 2 items (0 in the catalogue) in 2 sessions" in said
    assert report.fingerprint in said
    assert report.removed("bots") == 0


def test_json_is_plain_and_adds_up(report):
    found = json.loads(json.dumps(report.to_dict()))
    assert found["rows_in"] == found["rows_out"] + sum(s["removed"] for s in found["steps"])
    assert [s["name"] for s in found["steps"] if s["removed"]] == ["kinds", "actors", "clocks"]


def test_the_page_is_whole_and_trusts_no_name(report, tmp_path):
    report.write_html(tmp_path / "prepared.html")
    page = (tmp_path / "prepared.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 5
    assert "<script" not in page
    assert "&lt;script&gt;x&lt;/script&gt;" in page
    assert "数据准备报告" in page
    assert "src=" not in page  # nothing is fetched
    for drawing in page.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + drawing.partition("</svg>")[0] + "</svg>")
    report.write_html(tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_an_empty_report_has_a_page_too(tmp_path):
    prepare(events(), now=NOW).report.write_html(tmp_path / "empty.html")
    assert "0 interactions" in (tmp_path / "empty.html").read_text(encoding="utf-8")

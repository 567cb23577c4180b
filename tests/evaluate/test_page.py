"""The report needs nothing else, escapes what it shows, and names every measure twice."""

import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from evaluate_worlds import Wish, power_law, shop

from endcap.evaluate import plots
from endcap.evaluate.comparing import evaluate
from endcap.evaluate.comparison import Comparison
from endcap.evaluate.glossary import GLOSSARY
from endcap.evaluate.page import number, render

NASTY = '<script>alert("x")</script>'


class Reader(HTMLParser):
    """Collects what a page refers to and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.headings = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.headings += tag == "h2"
        self.links += [v or "" for k, v in attrs if k in {"src", "href", "xlink:href"}]


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    models = {NASTY: Wish(order=("i00", "i20")), "broken": Wish(fails=True)}
    return evaluate(models, power_law(), ks=(3, 5))


def test_page_stands_alone_and_runs_nothing(comparison: Comparison, tmp_path: Path) -> None:
    path = comparison.write_html(tmp_path / "new" / "report.html")
    text = path.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(text)
    assert "script" not in reader.tags
    assert all(link.startswith("#") for link in reader.links)
    assert "@import" not in text
    assert NASTY not in text
    assert "&lt;script&gt;" in text
    assert reader.tags.count("svg") == 6
    assert reader.headings >= 9


def test_page_explains_each_measure_in_both_languages(comparison: Comparison) -> None:
    text = render(comparison)
    shown = {key.partition("@")[0] for key in comparison.best.figures}
    for name in shown:
        assert GLOSSARY[name].zh in text
        assert GLOSSARY[name].text_zh in text
    assert "asked to fail" in text
    assert comparison.fingerprint in text


def test_page_shows_ratings_and_lives_without_a_catalogue() -> None:
    rows = [("ann", "a", 0), ("ann", "c", 90), ("bob", "a", 1), ("bob", "c", 91)]
    data = shop(rows, values=[5.0, 3.0, 4.0, 2.0])
    text = render(evaluate({"wish": Wish(order=("c",))}, data, ks=(1,), baselines=()))
    assert "评分预测" in text
    assert GLOSSARY["diversity"].zh not in text


@pytest.mark.parametrize(
    "draw",
    [
        lambda c: plots.bars(c, ("ndcg", "recall")),
        plots.trade_offs,
        plots.history_curves,
        plots.head_and_tail,
    ],
)
def test_plots_are_well_formed_and_repeat_to_the_byte(draw, comparison: Comparison) -> None:
    text = draw(comparison)
    assert ET.fromstring(text).tag.endswith("svg")
    assert "popular" in text
    assert draw(comparison) == text


def test_bars_of_unknown_measures_are_left_out(comparison: Comparison) -> None:
    assert "Miscalibration" not in plots.bars(comparison, ("ndcg", "rmse"))


def test_numbers() -> None:
    assert [number(x) for x in (0.5, 123.456, float("nan"), np.float64(-2))] == [
        "0.5000",
        "123.5",
        "–",
        "-2.0000",
    ]


def test_every_entry_says_something_in_both_languages() -> None:
    for entry in GLOSSARY.values():
        assert entry.text.endswith(".")
        assert entry.text_zh.endswith("。")
        assert entry.better in {-1, 0, 1}

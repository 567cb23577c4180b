"""A comparison as one HTML page that needs nothing else: no script, no network."""

import math
from importlib.resources import files

import jinja2

from endcap.evaluate import plots
from endcap.evaluate.comparison import Comparison
from endcap.evaluate.glossary import GLOSSARY
from endcap.evaluate.judging import Result
from endcap.evaluate.metrics import METRICS
from endcap.schema.version import __version__


def render(comparison: Comparison) -> str:
    """Return the page as text."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"number": number, "figure": figure}
    template = environment.from_string(
        files("endcap.evaluate").joinpath("page.html").read_text(encoding="utf-8")
    )
    names = {key.partition("@")[0] for key in comparison.best.figures}
    return template.render(
        c=comparison,
        rows=list(zip(comparison.results, comparison.against_best, strict=True)),
        glossary={name: GLOSSARY[name] for name in GLOSSARY if name in names},
        tables={
            "Accuracy": [name for name in METRICS if name in names],
            "Beyond accuracy": [n for n in GLOSSARY if n in names and n not in METRICS],
        },
        rated=[result for result in comparison.results if result.ratings],
        words=GLOSSARY,
        plots={
            "accuracy": plots.bars(comparison, ("ndcg", "recall", "hit")),
            "beyond": plots.bars(comparison, ("coverage", "gini", "popular_share")),
            "calibration": plots.bars(comparison, ("miscalibration", "diversity")),
            "trade_offs": plots.trade_offs(comparison),
            "history": plots.history_curves(comparison),
            "tail": plots.head_and_tail(comparison),
        },
        version=__version__,
    )


def number(value: float) -> str:
    """Show a figure with four digits below 10, and a dash where it is not known.

    Examples
    --------
    >>> number(0.12345), number(1234.5), number(float("nan"))
    ('0.1235', '1,234.5', '–')
    """
    if math.isnan(value):
        return "–"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"


def figure(result: Result, key: str) -> str:
    """Show a figure with its interval in one line of text."""
    low, high = result.intervals[key]
    return f"{number(low)} – {number(high)}"

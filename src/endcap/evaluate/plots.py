"""The plots of a comparison, as SVG text that stands by itself."""

import io
from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from endcap.evaluate.breakdown import Band
from endcap.evaluate.comparison import Comparison
from endcap.evaluate.glossary import GLOSSARY

PALETTE: Final = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#8c6d31",
    "#555555",
)
"""Okabe and Ito's colours: told apart by people who do not see red or green."""
MARKS: Final = "osD^vP*X"
STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "endcap",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "text.parse_math": False,
}


def bars(comparison: Comparison, names: Sequence[str]) -> str:
    """Draw one panel of bars with 95 % intervals for each measure, models from best to worst."""
    keys = [f"{name}@{comparison.ks[0]}" for name in names]
    keys = [key for key in keys if key in comparison.best.figures]
    results = comparison.results
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 0.8 + 0.36 * len(results)), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, max(1, len(keys)), sharey=True))
        for panel, key in zip(panels, keys, strict=False):
            values = [result.figures[key] for result in results]
            bounds = np.array([result.intervals[key] for result in results]).T
            panel.barh(
                range(len(results)),
                values,
                color=_colours(len(results)),
                height=0.66,
                xerr=np.abs(np.array(values) - bounds),
                ecolor="#333333",
                capsize=2,
            )
            panel.set_title(_title(key))
            panel.grid(visible=False, axis="y")
        panels[0].set_yticks(range(len(results)), [result.name for result in results])
        panels[0].invert_yaxis()
        return _svg(figure)


def trade_offs(comparison: Comparison) -> str:
    """Draw accuracy against coverage and against diversity: up and to the right is better."""
    k = comparison.ks[0]
    across = [
        key
        for key in (f"coverage@{k}", f"diversity@{k}", f"novelty@{k}")
        if key in comparison.best.figures
    ]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(across), sharey=True))
        for panel, key in zip(panels, across, strict=True):
            for place, result in enumerate(comparison.results):
                panel.plot(
                    result.figures[key],
                    result.figures[comparison.metric],
                    label=result.name if panel is panels[0] else None,
                    linestyle="none",
                    markersize=9,
                    **_look(place),
                )
            panel.set_xlabel(_title(key))
        panels[0].set_ylabel(_title(comparison.metric))
        figure.legend(loc="outside right center")
        return _svg(figure)


def history_curves(comparison: Comparison) -> str:
    """Draw the leading metric against how many different items are known of the user."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        axes = figure.subplots()
        _lines(axes, comparison, [r.by_history for r in comparison.results], counted=True)
        axes.set_xlabel("items in the history (users in the band)")
        axes.set_ylabel(_title(comparison.metric))
        figure.legend(loc="outside right center")
        return _svg(figure)


def head_and_tail(comparison: Comparison) -> str:
    """Draw recall of targets and places taken, from what sells least to what sells most."""
    results = comparison.results
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        found, taken = figure.subplots(1, 2)
        _lines(found, comparison, [result.by_popularity for result in results])
        found.set_ylabel(f"recall@{comparison.ks[0]} of targets")
        found.set_xlabel("popularity decile (10 sells most)")
        _lines(taken, comparison, [result.places_taken for result in results], labelled=False)
        taken.set_ylabel("share of recommended places")
        taken.set_xlabel("popularity decile (10 sells most)")
        figure.legend(loc="outside right center")
        return _svg(figure)


def _lines(
    axes: Axes,
    comparison: Comparison,
    rows: Sequence[Sequence[Band]],
    *,
    labelled: bool = True,
    counted: bool = False,
) -> None:
    kept = [at for at in range(len(rows[0])) if any(row[at].n for row in rows)]
    for place, (result, row) in enumerate(zip(comparison.results, rows, strict=True)):
        axes.plot(
            range(len(kept)),
            [row[at].value for at in kept],
            label=result.name if labelled else None,
            linewidth=1.6,
            markersize=5,
            **_look(place),
        )
    bands = [rows[0][at] for at in kept]
    ticks = [f"{band.label}\n({band.n:,})" if counted else band.label for band in bands]
    axes.set_xticks(range(len(kept)), ticks, fontsize=8)
    axes.set_ylim(bottom=0)


def _look(place: int) -> dict[str, Any]:
    return {"color": PALETTE[place % len(PALETTE)], "marker": MARKS[place % len(MARKS)]}


def _colours(count: int) -> list[str]:
    return [PALETTE[place % len(PALETTE)] for place in range(count)]


def _title(key: str) -> str:
    name, _, k = key.partition("@")
    return f"{GLOSSARY[name].en}@{k}"


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]

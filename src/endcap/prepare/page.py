"""A prepare report as one HTML page that needs nothing else: no script, no network."""

import io
from collections.abc import Callable
from importlib.resources import files
from typing import Any, Final

import jinja2
import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from endcap.prepare.report import PrepareReport, Shapes
from endcap.schema.version import __version__

INK: Final = "#2458a6"
STYLE: Final[dict[Any, Any]] = {"svg.hashsalt": "endcap", "svg.fonttype": "none", "font.size": 9.0}
WEEK: Final = 7


def render(report: PrepareReport) -> str:
    """Return the page as text; the same report gives the same page."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = files("endcap.prepare").joinpath("page.html").read_text(encoding="utf-8")
    shapes = report.shapes
    return environment.from_string(page).render(
        r=report,
        walk=list(report.walk()),
        plots={
            "removed": _draw(lambda axes: _removed(axes, report)),
            "daily": _draw(lambda axes: _daily(axes, shapes)),
            "activity": _draw(lambda axes: _log_log(axes, shapes.user_activity, "users")),
            "popularity": _draw(lambda axes: _log_log(axes, shapes.item_popularity, "items")),
            "baskets": _draw(lambda axes: _log_log(axes, shapes.basket_sizes, "sessions")),
        },
        version=__version__,
    )


def _draw(paint: Callable[[Axes], None]) -> Markup:
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.0), layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        paint(axes)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return Markup(out.getvalue()[out.getvalue().index("<svg") :])  # noqa: S704 (our own drawing)


def _removed(axes: Axes, report: PrepareReport) -> None:
    steps = [step for step in report.steps if step.removed]
    bars = axes.barh([s.name for s in steps], [s.removed for s in steps], color=INK)
    axes.bar_label(bars, labels=[f"{s.removed:,}" for s in steps], padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("rows removed")


def _daily(axes: Axes, shapes: Shapes) -> None:
    """Draw events a day of each kind; days that only broken clocks know are left out."""
    total = np.sum(list(shapes.daily.values()), axis=0) if shapes.daily else np.zeros(0)
    shown = _within(shapes.days, np.asarray(total, np.float64))
    days = shapes.days[shown].astype("datetime64[D]")
    for kind, counts in shapes.daily.items():
        axes.plot(days, counts[shown], label=kind, linewidth=1.0)
    if shapes.daily:
        axes.legend(frameon=False, ncols=4)
    axes.set_ylabel("events a day")


def _within(days: npt.NDArray[np.int64], total: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which days lie within the middle 99.8 % of the events, and a week around."""
    if not len(days):
        return np.zeros(0, np.bool_)
    share = np.cumsum(total) / total.sum()
    first, last = np.searchsorted(share, (0.001, 0.999))
    end = days[min(last, len(days) - 1)] + WEEK
    return np.asarray((days >= days[first] - WEEK) & (days <= end))


def _log_log(axes: Axes, counts: npt.NDArray[np.int64], who: str) -> None:
    """Draw how many have at least x interactions."""
    values, found = np.unique(counts[counts > 0], return_counts=True)
    axes.loglog(values, np.cumsum(found[::-1])[::-1], color=INK, marker=".", markersize=3)
    axes.set_xlabel("interactions")
    axes.set_ylabel(f"{who} with as many or more")

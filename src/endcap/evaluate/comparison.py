"""Models side by side: as a table, as plain values, as a page."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from endcap.evaluate.breakdown import Band
from endcap.evaluate.intervals import Interval, Paired
from endcap.evaluate.judging import Result

SHOWN: Final = ("ndcg", "recall", "map", "hit", "coverage", "diversity", "novelty")
"""Columns of a table on a terminal; `to_dict` and the page have all."""


@dataclass(frozen=True)
class Comparison:
    """The marks of several models for the same questions, best first.

    Attributes
    ----------
    results
        One for each model, by falling `metric`.
    against_best
        Of each, in the same order: the paired difference to the best (the first).
    metric
        What they are ordered by, such as ``"ndcg@10"``.
    ks, protocol, exclude_seen, seed, fingerprint
        How it was done; `fingerprint` names the training data.
    counts
        Users, targets, items, and the shares of them that are cold.
    skipped
        Models that could not take part, and why.

    Stability: caller.
    """

    results: tuple[Result, ...]
    against_best: tuple[Paired, ...]
    metric: str
    ks: tuple[int, ...]
    protocol: str
    exclude_seen: bool
    seed: int
    fingerprint: str
    counts: dict[str, float]
    skipped: dict[str, str]

    @property
    def best(self) -> Result:
        """The model with the highest `metric`."""
        return self.results[0]

    def __getitem__(self, name: str) -> Result:
        return next(result for result in self.results if result.name == name)

    def table(self, columns: Sequence[str] = SHOWN) -> Table:
        """Return a Rich table at the first k, with 95 % intervals of the metric in the lead."""
        k = self.ks[0]
        known = [f"{name}@{k}" for name in columns if f"{name}@{k}" in self.best.figures]
        out = Table(title=f"{self.protocol} · {self.counts['warm_users']:,.0f} users")
        out.add_column("model", style="bold")
        for key in known:
            out.add_column(key, justify="right")
        out.add_column("p vs best", justify="right")
        out.add_column("fit s", justify="right")
        for result, paired in zip(self.results, self.against_best, strict=True):
            cells = [_cell(key, result, self.metric) for key in known]
            p = "best" if result is self.best else f"{paired.p_holm:.3f}"
            out.add_row(result.name, *cells, p, f"{result.cost.fit_s:.1f}")
        return out

    def markdown(self, columns: Sequence[str] = SHOWN) -> str:
        """Return the table as Markdown, each accuracy with its 95 % interval."""
        k = self.ks[0]
        known = [f"{name}@{k}" for name in columns if f"{name}@{k}" in self.best.figures]
        lines = [f"| model | {' | '.join(known)} | fit s |", f"|---|{'---:|' * (len(known) + 1)}"]
        for result in self.results:
            cells = " | ".join(_cell(key, result, self.metric) for key in known)
            lines.append(f"| {result.name} | {cells} | {result.cost.fit_s:.1f} |")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the per-user values as JSON-ready values (NaN becomes None)."""
        plain = {
            "metric": self.metric,
            "ks": list(self.ks),
            "protocol": self.protocol,
            "exclude_seen": self.exclude_seen,
            "seed": self.seed,
            "fingerprint": self.fingerprint,
            "counts": self.counts,
            "skipped": self.skipped,
            "models": {
                result.name: _model(result, paired)
                for result, paired in zip(self.results, self.against_best, strict=True)
            },
        }
        clean: dict[str, Any] = _clean(plain)
        return clean

    def write_html(self, path: str | Path) -> Path:
        """Write a page that needs nothing else: tables, plots and what each measure means."""
        from endcap.evaluate.page import render

        out = Path(path)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(render(self), encoding="utf-8")
        return out


def _model(result: Result, paired: Paired) -> dict[str, Any]:
    return {
        "figures": result.figures,
        "intervals": {key: list(value) for key, value in result.intervals.items()},
        "against_best": paired._asdict(),
        "by_history": _bands(result.by_history),
        "by_popularity": _bands(result.by_popularity),
        "places_taken": _bands(result.places_taken),
        "cost": asdict(result.cost),
        "settings": result.settings,
        "ratings": result.ratings._asdict() if result.ratings else None,
    }


def _bands(bands: Sequence[Band]) -> list[dict[str, Any]]:
    return [band._asdict() for band in bands]


def _cell(key: str, result: Result, metric: str) -> str:
    value = result.figures[key]
    text = "-" if math.isnan(value) else f"{value:.2f}" if value >= 2 else f"{value:.4f}"
    if key != metric:
        return text
    low, high = result.intervals[key]
    return f"{text} [{low:.4f}, {high:.4f}]"


def _clean(value: Any) -> Any:
    """Make plain values of JSON; what is not known is null."""
    if isinstance(value, dict):
        return {key: _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | Interval):
        return [_clean(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

"""What a training tried and found: for a terminal, as plain values, as a page."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from rich.table import Table

from endcap.evaluate.choosing import Chosen
from endcap.evaluate.learning import Learnt
from endcap.evaluate.ranking import Ranked
from endcap.evaluate.tuning import Choice
from endcap.schema.version import __version__


def rows(chosen: Chosen) -> list[dict[str, Any]]:
    """Return one row for each model, best first; what is not in the blend adds None."""
    ranked = sorted(chosen.choices.items(), key=lambda pair: -pair[1].score)
    return [_row(name, choice, chosen) for name, choice in ranked]


def to_dict(learnt: Learnt) -> dict[str, Any]:
    """Return everything as JSON-ready values."""
    found: dict[str, Any] = {
        "artefact": learnt.artefact.id,
        "recipe": learnt.artefact.recipe.model_dump(mode="json"),
        "seconds": round(learnt.seconds, 1),
        "fits": learnt.artefact.facts["seconds"],
        "reason": learnt.reason,
    }
    if learnt.chosen is not None:
        exam = learnt.chosen.trial.exam
        found |= {
            "protocol": exam.split.protocol,
            "counts": exam.counts,
            "metric": f"ndcg@{learnt.chosen.trial.k}",
            "score": learnt.chosen.blend.score,
            "weights": learnt.chosen.blend.weights,
            "session_weights": learnt.chosen.moment.weights if learnt.chosen.moment else {},
            "models": rows(learnt.chosen),
            "skipped": learnt.chosen.skipped,
        }
    if learnt.ranked is not None:
        found["second_stage"] = learnt.ranked.facts()
    if learnt.artefact.facts.get("diversity"):
        found["diversity"] = learnt.artefact.facts["diversity"]
    if learnt.artefact.chances is not None:
        found["chances"] = dict(learnt.artefact.chances.facts)
    if learnt.contest is not None:
        rival = learnt.contest
        found["contest"] = {
            "champion": rival.champion,
            "score": rival.score,
            "gain": rival.gain,
            "interval": list(rival.interval),
            "won": rival.won,
        }
    return found


def table(chosen: Chosen) -> Table:
    """Return a Rich table: each model alone, its weight, and what it adds to the blend."""
    metric = f"NDCG@{chosen.trial.k}"
    out = Table(title=f"blend: {metric} {chosen.blend.score:.4f} on validation")
    out.add_column("model", style="bold")
    for name in (metric, "weight", "adds", "tried", "fit s", "all s"):
        out.add_column(name, justify="right")
    for row in rows(chosen):
        weight = f"{row['weight']:.2f}" if row["weight"] else "-"
        adds = "-"
        if row["weight"]:
            adds = f"{row['adds']:.4f} [{row['low']:.4f}, {row['high']:.4f}]"
        cells = (f"{row['score']:.4f}", weight, adds, f"{row['trials']}")
        out.add_row(row["name"], *cells, f"{row['fit_s']:.1f}", f"{row['seconds']:.1f}")
    return out


def said_of(ranked: Ranked) -> str:
    """Return a line on what a second stage gained."""
    low, high = ranked.interval
    return (
        f"second stage on the blend's {ranked.blend:.4f}: {ranked.gain:+.4f} "
        f"[{low:+.4f}, {high:+.4f}]: "
        + ("it orders the home page again." if ranked.pays else "left out.")
    )


def said_of_chances(facts: Mapping[str, Any]) -> list[str]:
    """Return a line on each curve: what was told of shoppers it was not learnt from, and counted.

    Parameters
    ----------
    facts
        Of `models.chances.Chances`.
    """
    judged = {name: told for name, told in facts.items() if isinstance(told, dict)}
    return [
        f"chances, {name}: {told['share@10']:.2%} of the first ten are taken up, "
        f"calibration error {told['ece@10']:.2%} there and {told['ece']:.2%} of all"
        for name, told in judged.items()
        if "ece" in told
    ]


def said_of_knob(curve: Sequence[Mapping[str, float]]) -> str:
    """Return a line on what the knob `diversity` costs and wins; empty where it does nothing."""
    if not curve or not curve[0]["ndcg"] or not curve[0]["ild"]:
        return ""
    start = curve[0]
    steps = [
        f"{row['diversity']:g}: {row['ild'] / start['ild'] - 1:+.1%} for "
        f"{1 - row['ndcg'] / start['ndcg']:.1%}"
        for row in curve[1:]
    ]
    return f"diversity (variety won for NDCG lost): {', '.join(steps)}"


def write_html(learnt: Learnt, path: Path) -> Path:
    """Write a page that needs nothing else."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    source = files("endcap.evaluate").joinpath("learning.html").read_text(encoding="utf-8")
    page = environment.from_string(source).render(
        learnt=to_dict(learnt), placements=learnt.artefact.recipe.placements, version=__version__
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _row(name: str, choice: Choice, chosen: Chosen) -> dict[str, Any]:
    part = chosen.blend.parts.get(name)
    return {
        "name": name,
        "plugin": choice.entrant.plugin,
        "settings": choice.settings,
        "score": choice.score,
        "weight": chosen.blend.weights.get(name, 0.0),
        "adds": part.adds if part else None,
        "low": part.interval.low if part else None,
        "high": part.interval.high if part else None,
        "trials": choice.trials,
        "dropped": choice.dropped,
        "fit_s": round(choice.fit_s, 3),
        "seconds": round(choice.seconds, 3),
    }

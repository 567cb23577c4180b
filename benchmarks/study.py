"""Choose settings on validation, fit once more, touch the test once."""

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from benchmarks import lineup, report
from benchmarks.data import Folder
from benchmarks.peers.calling import ask_peers
from endcap.evaluate.comparing import compare, examine
from endcap.evaluate.comparison import Comparison
from endcap.evaluate.exam import Exam
from endcap.evaluate.judging import Result
from endcap.evaluate.meter import Meter
from endcap.evaluate.metrics import per_user
from endcap.models import specs
from endcap.prepare.split import Split
from endcap.schema.errors import EndcapError

QUICK_USERS = 500
TUNING_USERS = 5_000


class Choice(NamedTuple):
    """The settings that did best on validation, and how well."""

    settings: dict[str, Any]
    score: float
    trials: int


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the flags of every study of ranked lists."""
    out = report.parser(doc)
    out.add_argument("--models", default="", help="only these: a,b")
    out.add_argument("--k", type=int, action="append", help="cut lists here (repeatable)")
    out.add_argument("--keep-seen", action="store_true", help="lists may repeat (groceries)")
    out.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    out.add_argument("--html", type=Path, help="write the page of the comparison here")
    return out


def study(
    args: argparse.Namespace, source: Folder, test: Split, valid: Split, ks: tuple[int, ...]
) -> dict[str, Any]:
    """Tune on `valid`, judge on `test`, print the table, return the outcome."""
    with Meter() as meter:
        seen = {"exclude_seen": not args.keep_seen, "seed": args.seed}
        limit = QUICK_USERS if args.quick else None
        exam = Exam.of(test, max_users=limit, **seen)
        trial = Exam.of(valid, max_users=QUICK_USERS if args.quick else TUNING_USERS, **seen)
        results, chosen, skipped = _ours(args, source, exam, trial, ks)
        peers, absent = ask_peers(args, exam, trial, ks)
        comparison = compare(exam, [*results, *peers], ks, skipped | absent)
    _show(args, comparison)
    best = max(results, key=lambda result: chosen[result.name].score)
    ours = {result.name for result in results}
    return report.outcome(
        meter,
        protocol=_protocol(comparison, valid),
        figures=_row(best),
        intervals={key: list(value) for key, value in best.intervals.items()},
        models={r.name: _row(r) for r in comparison.results if r.name in ours},
        peers={r.name: _row(r) for r in comparison.results if r.name not in ours},
        seed=args.seed,
        fingerprint=source.data.fingerprint,
        data=source.name,
        chosen=best.name,
        settings={r.name: r.settings for r in comparison.results},
        leading_intervals={
            r.name: list(r.intervals[comparison.metric]) for r in comparison.results
        },
        validation={name: choice.score for name, choice in chosen.items()},
        trials={name: choice.trials for name, choice in chosen.items()},
        counts=comparison.counts,
        skipped=comparison.skipped,
    )


def tune(name: str, axes: lineup.Axes, trial: Exam, k: int) -> Choice:
    """Search each axis in turn from the best so far, by NDCG@k of the users with a history."""
    best: dict[str, Any] = {key: values[0] for key, values in axes.items()}
    score, trials = _score(name, best, trial, k), 1
    for key, values in axes.items():
        for value in values[1:]:
            candidate = best | {key: value}
            found = _score(name, candidate, trial, k)
            trials += 1
            if found > score:
                best, score = candidate, found
    return Choice(best, score, trials)


def _ours(
    args: argparse.Namespace, source: Folder, exam: Exam, trial: Exam, ks: tuple[int, ...]
) -> tuple[list[Result], dict[str, Choice], dict[str, str]]:
    results: list[Result] = []
    chosen: dict[str, Choice] = {}
    skipped: dict[str, str] = {}
    for name, axes in entrants(args, source).items():
        try:
            choice = tune(name, axes, trial, ks[0])
            results.append(examine(name, specs.make(name, choice.settings), exam, ks))
        except (EndcapError, MemoryError) as error:
            skipped[name] = str(error) or "not enough memory"
            report.say(f"{name}: left out: {skipped[name]}")
            continue
        chosen[name] = choice
        report.say(f"{name}: validation {choice.score:.4f} in {choice.trials} fits")
    return results, chosen, skipped


def entrants(args: argparse.Namespace, source: Folder) -> dict[str, lineup.Axes]:
    """Return the models that can take part on this data, with their axes."""
    found = dict(lineup.ALWAYS)
    found |= lineup.CLOCKED if source.clocked else {}
    described = source.data.item_table["title"].null_count < len(source.data.items)
    found |= lineup.DESCRIBED if described else {}
    if args.models:
        asked = [name.strip() for name in args.models.split(",")]
        found = {name: found.get(name, {}) for name in dict.fromkeys(["popular", *asked])}
    if args.quick:
        found = {name: {} for name in found if args.models or name in lineup.QUICK}
    return found


def _score(name: str, settings: Mapping[str, Any], trial: Exam, k: int) -> float:
    model = specs.make(name, settings).fit(trial.split.train, rng=trial.seed)
    lists = model.retrieve(trial.queries, k)
    return float(np.mean(per_user(lists, trial.targets, (k,))[f"ndcg@{k}"][trial.warm]))


def _row(result: Result) -> dict[str, float]:
    return result.figures | asdict(result.cost)


def _protocol(comparison: Comparison, valid: Split) -> str:
    counts = comparison.counts
    return (
        f"{comparison.protocol}; full ranking of {counts['items']:,} items; "
        f"{'seen items excluded' if comparison.exclude_seen else 'repeats allowed'}; binary "
        f"relevance; mean over {counts['warm_users']:,} users with a history and a target; "
        f"settings chosen by {comparison.metric} on: {valid.protocol}; 95 % bootstrap intervals "
        "over users"
    )


def _show(args: argparse.Namespace, comparison: Comparison) -> None:
    if args.markdown:
        print(comparison.markdown())
    else:
        Console(width=180).print(comparison.table())
    for name, reason in comparison.skipped.items():
        print(f"left out: {name}: {reason}")
    if args.html:
        report.say(f"page: {comparison.write_html(args.html)}")

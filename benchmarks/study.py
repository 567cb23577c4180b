"""Choose settings and a blend on validation, fit once more, touch the test once."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, astuple, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import lineup, mixing, report
from benchmarks.data import Folder
from benchmarks.lineup import Axes
from benchmarks.peers.calling import ask_peers
from benchmarks.tuning import DEPTH, Choice, mark, tune
from endcap.evaluate.comparing import answer, compare, fit, total_cost
from endcap.evaluate.comparison import Comparison
from endcap.evaluate.exam import Exam
from endcap.evaluate.judging import Cost, Result, judge
from endcap.evaluate.meter import Meter
from endcap.models import specs
from endcap.models.candidates import Candidates
from endcap.prepare.split import Split
from endcap.schema.errors import EndcapError

QUICK_USERS = 500
TUNING_USERS = 5_000
BLEND = "blend"


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


def _ours(
    args: argparse.Namespace, source: Folder, exam: Exam, trial: Exam, ks: tuple[int, ...]
) -> tuple[list[Result], dict[str, Choice], dict[str, str]]:
    """Tune each model, fit it once more, judge it; then judge their blend."""
    results: list[Result] = []
    chosen: dict[str, Choice] = {}
    skipped: dict[str, str] = {}
    answers: dict[str, Candidates] = {}
    for name, axes in entrants(args, source).items():
        try:
            choice = tune(name, axes, trial, ks[0])
            result, answers[name] = _fit(name, choice.settings, exam, ks)
        except (EndcapError, MemoryError) as error:
            skipped[name] = str(error) or "not enough memory"
            report.say(f"{name}: left out: {skipped[name]}")
            continue
        results.append(result)
        chosen[name] = choice
        report.say(f"{name}: validation {choice.score:.4f} in {choice.trials} trials")
    weights = mixing.choose_weights(chosen, trial, ks[0])
    if len(weights) > 1:
        result, chosen[BLEND] = _blend(weights, chosen, answers, exam, trial, ks)
        costs = [one.cost for one in results if one.name in weights]
        results.append(replace(result, cost=_sum(costs)))
        report.say(f"{BLEND}: validation {chosen[BLEND].score:.4f}: {weights}")
    return results, chosen, skipped


def _fit(
    name: str, settings: dict[str, Any], exam: Exam, ks: tuple[int, ...]
) -> tuple[Result, Candidates]:
    spec = specs.make(name, settings)
    model, fitting = fit(spec, exam)
    lists, answering = answer(model, exam, DEPTH)
    cost = total_cost(fitting, answering)
    settings = spec.model_dump(mode="json")
    return judge(name, lists.top(max(ks)), exam, ks, cost=cost, settings=settings), lists


def _blend(
    weights: dict[str, float],
    chosen: dict[str, Choice],
    answers: dict[str, Candidates],
    exam: Exam,
    trial: Exam,
    ks: tuple[int, ...],
) -> tuple[Result, Choice]:
    width = len(exam.buyers)
    past = {name: mixing.spread(chosen[name].lists, width) for name in weights}
    lists = mixing.mix(past, weights)
    choice = Choice(weights, mark(lists, trial, ks[0]), 1, lists)
    parts = {name: mixing.spread(answers[name], width) for name in weights}
    ranked = mixing.mix(parts, weights, max(ks))
    return judge(BLEND, ranked, exam, ks, settings={"weights": weights}), choice


def _sum(costs: Sequence[Cost]) -> Cost:
    added = [sum(values) for values in zip(*(astuple(cost)[:-1] for cost in costs), strict=True)]
    return Cost(*added, peak_mb=max(cost.peak_mb for cost in costs))


def entrants(args: argparse.Namespace, source: Folder) -> dict[str, Axes]:
    """Return the models that can take part on this data, with their axes."""
    found = dict(lineup.ALWAYS) | (lineup.ORDERED if source.ordered else {})
    found |= lineup.CLOCKED if source.clocked else {}
    described = source.data.item_table["title"].null_count < len(source.data.items)
    found |= lineup.DESCRIBED if described else {}
    if args.models:
        asked = [name.strip() for name in args.models.split(",")]
        found = {name: found.get(name, {}) for name in dict.fromkeys(["popular", *asked])}
    if args.quick:
        found = {name: {} for name in found if args.models or name in lineup.QUICK}
    return found


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

"""Choose settings and a blend on validation, fit once more, touch the test once."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, replace
from functools import reduce
from operator import or_
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

from rich.console import Console

from benchmarks import report
from benchmarks.data import Folder
from benchmarks.peers.calling import ask_peers
from endcap.evaluate.choosing import Chosen, choose
from endcap.evaluate.comparing import answer, compare, fit, total_cost
from endcap.evaluate.comparison import Comparison
from endcap.evaluate.exam import Exam
from endcap.evaluate.judging import Cost, Result, judge
from endcap.evaluate.learning import LISTS_PER_S, MOST_LISTS
from endcap.evaluate.lineup import Entrant, Profile, line_up
from endcap.evaluate.meter import Meter
from endcap.evaluate.pool import blend_lists
from endcap.evaluate.ranking import Ranked, learn_ranker, rank_lists
from endcap.evaluate.tuning import HEAT_USERS, Trial
from endcap.models.base import Model, Spec
from endcap.models.candidates import Candidates
from endcap.models.ranking import ItemFacts, Ranker
from endcap.prepare.split import Split
from endcap.schema.errors import DataError
from endcap.schema.progress import Progress
from endcap.schema.spans import seconds

QUICK_USERS = 500
TUNING_USERS = 5_000
BLEND = "blend"
RANKER = "ranker"
QUICK = ("popular", "item-knn", "ease")
"""Who takes part in a quick look, with first settings."""

Measures = Callable[[Candidates, Exam, int], dict[str, float]]
"""Further figures of ranked lists, cut at k."""


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the flags of every study of ranked lists."""
    out = report.parser(doc)
    out.add_argument("--models", default="", help="only these: a,b")
    out.add_argument("--budget", help="time to choose in: 10m (default: all it takes)")
    out.add_argument(
        "--processor-time",
        action="store_true",
        help="the budget is of processor time, all threads together: for a machine that is shared",
    )
    out.add_argument("--peer-budget", help="processor time each peer may choose in")
    out.add_argument("--k", type=int, action="append", help="cut lists here (repeatable)")
    out.add_argument("--rank", action="store_true", help="learn a second stage for the blend")
    out.add_argument("--only-chosen", action="store_true", help="judge the choice alone, no single")
    out.add_argument("--keep-seen", action="store_true", help="lists may repeat (groceries)")
    out.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    out.add_argument("--html", type=Path, help="write the page of the comparison here")
    return out


def study(
    args: argparse.Namespace,
    source: Folder,
    test: Split,
    valid: Split,
    ks: tuple[int, ...],
    *,
    rivals: Mapping[str, Entrant] | None = None,
    measures: Measures = lambda lists, exam, k: {},
) -> dict[str, Any]:
    """Choose on `valid`, judge on `test`, print the table, return the outcome.

    Parameters
    ----------
    rivals
        Who takes part; by default whoever suits the data.
    measures
        Figures of each of our models beside those that every study has.
    """
    with Meter() as meter:
        seen = {"exclude_seen": not args.keep_seen, "seed": args.seed}
        most = QUICK_USERS if args.quick else TUNING_USERS
        exam = Exam.of(test, max_users=QUICK_USERS if args.quick else None, **seen)
        trial = Trial.of(valid, k=ks[0], max_users=most, heat_users=min(most, HEAT_USERS), **seen)
        entered = entrants(args, source) if rivals is None else rivals
        clock = process_time if args.processor_time else perf_counter
        chosen = choose(entered, trial, budget_s=_budget(args), clock=clock, progress=_say)
        ranked = None
        if args.rank:
            learning = Exam.of(valid, max_users=_lists(args), **seen)
            ranked = _ranked(chosen, learning, ks[0])
        plan = _plan(chosen, ranked)
        if args.only_chosen:
            plan = plan.without_others()
        results = _ours(plan, exam, ks, measures)
        peers, absent = ask_peers(args, exam, trial.exam, ks)
        comparison = compare(exam, [*results, *peers], ks, plan.skipped | absent)
    _show(args, comparison)
    best = max(results, key=lambda result: plan.scores[result.name])
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
        against_best={
            result.name: paired._asdict()
            for result, paired in zip(comparison.results, comparison.against_best, strict=True)
        },
        validation=plan.scores,
        trials=plan.trials,
        adds=plan.adds,
        choosing_s=plan.seconds,
        counts=comparison.counts,
        skipped=comparison.skipped,
    )


class _Plan(NamedTuple):
    """What was chosen, without the models that were fitted for it: some are large."""

    specs: dict[str, Spec]
    weights: dict[str, float]
    scores: dict[str, float]
    trials: dict[str, int]
    adds: dict[str, Any]
    skipped: dict[str, str]
    seconds: float
    ranker: Ranker | None = None

    def without_others(self) -> "_Plan":
        """Return the plan of what was chosen alone: members of the blend are fitted, not judged."""
        best = max(self.scores, key=lambda name: self.scores[name])
        names = self.weights if best in {BLEND, RANKER} else {best: 1.0}
        specs = {name: self.specs[name] for name in names}
        return self._replace(specs=specs, scores={best: self.scores[best]})


def _ranked(chosen: Chosen, exam: Exam, k: int) -> Ranked | None:
    """Learn a second stage from the models that have not seen what is held out of `exam`."""
    models = {name: choice.model for name, choice in chosen.choices.items()}
    try:
        found = learn_ranker(models, chosen.blend.weights, exam, k)
    except DataError as error:
        report.say(f"{RANKER}: {error}")
        return None
    report.say(
        f"{RANKER}: {found.gain:+.4f} {tuple(found.interval)} on the blend's {found.blend:.4f}, "
        f"learned from {found.lists} lists; {'kept' if found.pays else 'not kept'}; "
        f"{dict(list(found.importance.items())[:8])}"
    )
    return found


def _plan(chosen: Chosen, ranked: Ranked | None) -> _Plan:
    found = {name: choice.model.spec for name, choice in chosen.choices.items()}
    scores = {name: choice.score for name, choice in chosen.choices.items()}
    weights = chosen.blend.weights
    for name, choice in chosen.choices.items():
        report.say(f"{name}: validation {choice.score:.4f} in {choice.trials} trials")
    if len(weights) > 1:
        scores[BLEND] = chosen.blend.score
        if ranked is not None and ranked.pays:
            scores[RANKER] = chosen.blend.score + ranked.gain
        report.say(f"{BLEND}: validation {chosen.blend.score:.4f}: {weights}")
    return _Plan(
        found,
        weights,
        scores,
        {name: choice.trials for name, choice in chosen.choices.items()},
        {name: asdict(part) for name, part in chosen.blend.parts.items()},
        chosen.skipped,
        chosen.seconds,
        ranked.ranker if ranked is not None else None,
    )


def _ours(plan: _Plan, exam: Exam, ks: tuple[int, ...], measures: Measures) -> list[Result]:
    """Fit each model once more and judge those with a score; then judge the blend."""

    def mark(name: str, lists: Candidates, cost: Cost, settings: dict[str, Any]) -> Result:
        result = judge(name, lists, exam, ks, cost=cost, settings=settings)
        further = [measures(lists.top(k), exam, k) for k in ks]
        return replace(result, figures=result.figures | reduce(or_, further))

    results: list[Result] = []
    members: dict[str, Model] = {}
    costs: list[Cost] = []
    for name, spec in plan.specs.items():
        model, fitting = fit(spec, exam)
        if name in plan.weights:
            members[name] = model
            costs.append(total_cost(fitting, fitting))
        if name in plan.scores:
            lists, answering = answer(model, exam, max(ks))
            cost = total_cost(fitting, answering)
            results.append(mark(name, lists, cost, spec.model_dump(mode="json")))
            report.say(f"{name}: {results[-1].figures[f'ndcg@{ks[0]}']:.4f}")
    if {BLEND, RANKER} & set(plan.scores):
        results += _blended(plan, members, exam, ks, costs, mark)
    return results


def _blended(
    plan: _Plan,
    members: Mapping[str, Model],
    exam: Exam,
    ks: tuple[int, ...],
    costs: Sequence[Cost],
    mark: Callable[[str, Candidates, Cost, dict[str, Any]], Result],
) -> list[Result]:
    """Judge the blend of the members, and its second stage, where they have a score."""
    results = []
    fitting, settings = _sum(costs), {"weights": plan.weights}

    def answered(name: str, ask: Callable[[], Candidates]) -> None:
        with Meter() as meter:
            ranked = ask()
        cost = replace(fitting, answer_s=meter.wall_s, answer_cpu_s=meter.cpu_s)
        results.append(mark(name, ranked, cost, settings))
        report.say(f"{name}: {results[-1].figures[f'ndcg@{ks[0]}']:.4f}")

    if BLEND in plan.scores:
        answered(BLEND, lambda: blend_lists(members, plan.weights, exam.queries, max(ks)))
    if RANKER in plan.scores and plan.ranker is not None:
        ranker = replace(plan.ranker, facts=ItemFacts.of(exam.split.train))
        answered(RANKER, lambda: rank_lists(members, plan.weights, ranker, exam.queries, max(ks)))
    return results


def _sum(costs: Sequence[Cost]) -> Cost:
    added = [sum(values) for values in zip(*(astuple(cost)[:-1] for cost in costs), strict=True)]
    return Cost(*added, peak_mb=max(cost.peak_mb for cost in costs))


def entrants(args: argparse.Namespace, source: Folder) -> dict[str, Entrant]:
    """Return the models that can take part on this data, with their axes."""
    profile = Profile.of(source.data, ordered=source.ordered, clocked=source.clocked)
    found = line_up(profile, keep_seen=args.keep_seen)
    return rivals(args, found, QUICK)


def rivals(
    args: argparse.Namespace, known: Mapping[str, Entrant], quick: Sequence[str]
) -> dict[str, Entrant]:
    """Return those of `known` whom ``--models`` names, and `popular`; else all, or the `quick`.

    A quick look tries first settings only.
    """
    asked = report.names(args.models)
    names = ["popular", *asked] if asked else quick if args.quick else known
    found = {name: known.get(name, Entrant(name)) for name in names}
    if not args.quick:
        return found
    return {name: first_settings(entrant) for name, entrant in found.items()}


def first_settings(entrant: Entrant) -> Entrant:
    """Return an entrant that tries nothing else."""
    return replace(entrant, axes={key: values[:1] for key, values in entrant.axes.items()})


def _budget(args: argparse.Namespace) -> float:
    return float("inf") if args.budget is None else seconds(args.budget)


def _lists(args: argparse.Namespace) -> int:
    """Return how many shoppers a second stage may learn from, as training has it."""
    return int(min(MOST_LISTS, _budget(args) * LISTS_PER_S))


def _say(name: str) -> Progress:
    def tell(done: int, total: int, note: str = "") -> None:
        if not done:
            report.say(f"{name}: {note or 'tuning'}")

    return tell


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

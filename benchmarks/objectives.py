"""What an objective wins and costs on held-out purchases, and how true its chances are.

A blend is chosen and fitted as in the other studies. Chances are learnt on the validation slice, by
the blend fitted on what is before it; they are judged on the test, which is asked once, by the
blend fitted on all that is before the test. For each shopper of the test the first 200 of the blend
are ordered by relevance, and by what each is expected to bring under an objective, through the code
that serves (`composing.forecast`). Prices are those of the catalogue. Costs are **made up** where
the catalogue has none (`--made-up-costs`, drawn by the seed from 40 to 90 % of the price), and so
are the figures of profit then.

    python -m benchmarks objectives                                  (Online Retail)
"""

import argparse
import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks import data, report, study
from benchmarks.data import Folder
from endcap.evaluate.choosing import choose
from endcap.evaluate.comparing import fit
from endcap.evaluate.exam import Exam
from endcap.evaluate.intervals import Interval, bootstrap, percentile
from endcap.evaluate.meter import Meter
from endcap.evaluate.outcomes import Answers, answers_of, asking, learn_chances
from endcap.evaluate.tuning import Trial
from endcap.models.chances import Chances, calibration_error
from endcap.prepare.split import Split, Temporal
from endcap.recommend.composing import forecast
from endcap.recommend.filters.columns import Columns
from endcap.recommend.shelf import Pick
from endcap.recommend.slates.objective import Objective
from endcap.recommend.slates.rules import Rules
from endcap.schema.errors import DataError

K, DAYS, LEVEL = 10, 28.0, "personal"
MODELS, BUDGET, TUNING_USERS = "ease,item-knn,trending,popular", "120s", 2_000
SHARES = (0.4, 0.9)
OBJECTIVES: Mapping[str, Mapping[str, float]] = {
    "purchase": {"purchase": 1.0},
    "purchase 1 + revenue 0.1": {"purchase": 1.0, "revenue": 0.1},
    "purchase 1 + revenue 0.5": {"purchase": 1.0, "revenue": 0.5},
    "revenue": {"revenue": 1.0},
    "profit": {"profit": 1.0},
}
Floats = npt.NDArray[np.float64]


class Marks(NamedTuple):
    """float64 (n,) each: hits, revenue and profit among the first ten of each shopper."""

    hits: Floats
    revenue: Floats
    profit: Floats


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Online Retail."""
    parser = study.parser(__doc__)
    parser.set_defaults(models=MODELS, budget=BUDGET)
    args = parser.parse_args(argv)
    source = data.load(data.find(args.data, "online-retail"))
    with Meter() as meter:
        test = Temporal(days=DAYS).apply(source.data)
        weights, chances, answers = _asked(args, source, test)
        columns, cost = _catalogue(source.data.item_table, source.data.items.ids, args.seed)
        price = np.nan_to_num(columns.number("price")[1:])
        plain = _marks(answers, answers.scores, price, price - cost)
        reliability = _reliability(chances, answers)
        figures, intervals, models = dict(reliability), {}, {"relevance": _means(plain)}
        for name, told in OBJECTIVES.items():
            values = _values(
                answers, Objective.parse(told), chances, columns, source.data.items.ids
            )
            marks = _marks(answers, values, price, price - cost)
            models[name] = _means(marks)
            for part, low in _changes(plain, marks, args.seed).items():
                key = f"{name}: {part}"
                figures[key], intervals[key] = low
    _print(models, figures, intervals)
    return report.outcome(
        meter,
        protocol=(
            f"{test.protocol}; blend {weights}; chances learnt on the {DAYS:g} days before, judged "
            f"on the test; {len(plain.hits):,} shoppers, the first 200 ordered anew, cut at {K}; "
            "changes are relative, with paired 95 % bootstrap intervals; prices of the catalogue, "
            f"costs made up: {SHARES[0]:.0%} to {SHARES[1]:.0%} of the price"
        ),
        figures=figures,
        intervals=intervals,
        models=models,
        seed=args.seed,
        fingerprint=source.data.fingerprint,
        data=source.name,
    )


def _asked(
    args: argparse.Namespace, source: Folder, test: Split
) -> tuple[dict[str, float], Chances, Answers]:
    """Choose a blend, learn its chances on validation, and ask it about the test."""
    valid = test.validation()
    most = study.QUICK_USERS if args.quick else TUNING_USERS
    trial = Trial.of(valid, max_users=most, heat_users=study.QUICK_USERS)
    budget = study.seconds(args.budget)
    chosen = choose(study.entrants(args, source), trial, budget_s=budget, progress=study._say)
    weights = dict(chosen.blend.weights)
    models = {name: chosen.choices[name].model for name in weights}
    chances = learn_chances({LEVEL: asking(models, weights)}, valid, seed=args.seed)
    if chances is None:
        raise DataError("There is too little to learn chances from.")
    exam = Exam.of(test)
    final = {name: fit(model.spec, exam)[0] for name, model in models.items()}
    asked = np.arange(len(test.users))[: study.QUICK_USERS if args.quick else None]
    return weights, chances, answers_of(asking(final, weights), test, asked)


def _catalogue(table: Any, ids: Any, seed: int) -> tuple[Columns, Floats]:
    """Return the catalogue with costs made up where it has none, and the costs by item row."""
    columns = Columns(table)
    price, cost = columns.number("price"), columns.number("cost")
    made_up = np.random.default_rng(seed).uniform(*SHARES, len(price)) * price
    cost[:] = np.where(np.isnan(cost), made_up, cost)
    return columns, np.nan_to_num(cost[1:])


def _values(
    answers: Answers, objective: Objective, chances: Chances, columns: Columns, ids: Any
) -> Floats:
    """Return float64 (nnz,): what each candidate is expected to bring, as serving reckons it."""
    rules = Rules(objective=objective)
    values = np.zeros(len(answers.items))
    ends = np.searchsorted(answers.owner, np.arange(answers.owner.max(initial=-1) + 2))
    for start, end in itertools.pairwise(ends.tolist()):
        names = ids(answers.items[start:end])
        scores = answers.scores[start:end].tolist()
        picks = [
            Pick(name, score, "blend", level=LEVEL, told=_told)
            for name, score in zip(names, scores, strict=True)
        ]
        worth = forecast(rules, picks, chances, columns)
        assert worth is not None
        assert not worth.trouble, worth.trouble
        values[start:end] = worth.values
    return values


def _told(places: Any) -> Any:
    return [()] * len(places)


def _marks(answers: Answers, values: Floats, price: Floats, profit: Floats) -> Marks:
    """Mark the ten of most value of each shopper; the better place comes first where two tie."""
    order = np.lexsort((answers.places, -values, answers.owner))
    owner = answers.owner[order]
    place = np.arange(len(order)) - np.searchsorted(owner, owner)
    top = order[place < K]
    n = int(answers.owner.max(initial=-1)) + 1
    hits = answers.hits["purchase"][top].astype(np.float64)
    items, who = answers.items[top], answers.owner[top]
    return Marks(
        np.bincount(who, hits, n),
        np.bincount(who, hits * price[items], n),
        np.bincount(who, hits * profit[items], n),
    )


def _reliability(chances: Chances, answers: Answers) -> dict[str, float]:
    curve, hits = chances.curves[LEVEL, "purchase"], answers.hits["purchase"]
    told, top = curve(answers.scores, answers.places), answers.places <= K
    return {
        "purchase share": float(hits.mean()),
        "told share": float(told.mean()),
        "ece": calibration_error(told, hits),
        f"purchase share@{K}": float(hits[top].mean()),
        f"told share@{K}": float(told[top].mean()),
        f"ece@{K}": calibration_error(told[top], hits[top]),
    }


def _means(marks: Marks) -> dict[str, float]:
    return {f"{name}@{K}": float(row.mean()) for name, row in marks._asdict().items()}


def _changes(plain: Marks, marks: Marks, seed: int) -> dict[str, tuple[float, Interval]]:
    """Return the relative change of each mean, and its paired interval."""
    out = {}
    for name in Marks._fields:
        before, after = getattr(plain, name), getattr(marks, name)
        drawn = bootstrap(np.column_stack((before, after)), seed=seed)
        (interval,) = percentile((drawn[:, 1] / drawn[:, 0] - 1)[:, None])
        out[f"{name}@{K}"] = float(after.mean() / before.mean() - 1), interval
    return out


def _print(
    models: Mapping[str, Mapping[str, float]],
    figures: Mapping[str, float],
    intervals: Mapping[str, Interval],
) -> None:
    for name, row in models.items():
        cells = []
        for part, value in row.items():
            cell, key = f"{part} {value:.3f}", f"{name}: {part}"
            if key in figures:
                low, high = intervals[key]
                cell += f" ({figures[key]:+.1%} [{low:+.1%}, {high:+.1%}])"
            cells.append(cell)
        print(f"{name:<26}{'  '.join(cells)}")
    for name in [key for key in figures if key not in intervals]:
        print(f"{name:<26}{figures[name]:.4f}")

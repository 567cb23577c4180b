"""What variety costs: accuracy against diversity and coverage as one knob is turned.

A blend is chosen and fitted as in the other studies; its first 100 items for each user are composed
into slates of 10. How variety is measured, how sharply scores fall and how far knobs are turned is
chosen on validation, for each loss of NDCG that is allowed; the test is asked once. Coverage is won
by a bonus for what was shown least so far, users being answered one after the other.

With ``--rank`` a second stage orders the blend again, as `endcap train` has it: its own plain order
is then what loss and gain are measured against, and what the blend alone shows is printed beside.
It learns from validation shoppers, and from those of ``--windows`` earlier spans where that is
asked; knobs are chosen on shoppers it did not learn from.

    python -m benchmarks diversity                                        (Amazon Beauty)
    python -m benchmarks diversity --rank
    python -m benchmarks diversity --likeness words
    python -m benchmarks diversity --data ../shared/data/online-retail --picture out.svg
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from scipy import sparse
from scipy.optimize import nnls

from benchmarks import data, report, study
from benchmarks.data import Folder
from endcap.evaluate.beyond import coverage, diversity, membership
from endcap.evaluate.choosing import choose
from endcap.evaluate.comparing import fit
from endcap.evaluate.exam import Exam
from endcap.evaluate.intervals import bootstrap
from endcap.evaluate.meter import Meter
from endcap.evaluate.metrics import hits, ndcg
from endcap.evaluate.plots import PALETTE, STYLE
from endcap.evaluate.pool import blend_lists
from endcap.evaluate.ranking import Ranked, learn_ranker, odds, rank_lists
from endcap.evaluate.tuning import Trial
from endcap.features.labels import item_labels, telling
from endcap.models.base import Model
from endcap.models.candidates import Candidates
from endcap.models.ranking import ItemFacts, Ranker
from endcap.prepare.split import Fixed, Split, Temporal, last_labels
from endcap.recommend.slates.alike import shared
from endcap.recommend.slates.compose import compose
from endcap.recommend.slates.problem import Problem
from endcap.schema.spans import seconds

K, DEPTH = 10, 100
KNOB = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
SHARPNESS = (0.5, 1.0, 2.0)
REACH = (0.02, 0.04, 0.08, 0.12, 0.2, 0.3)
TRIED = (0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
METHODS = ("pairs", "mmr")
LOSSES = (0.012, 0.036)
COVERAGE_LOSS = 0.02
CAUTION = 0.9
"""Share of an allowed loss that is used up on validation: the test is another draw."""
LIKENESS = {
    "attributes": "brand and parts of categories (the words of the title where there is neither)",
    "words": "TF-IDF vectors",
}
USERS, VALID_USERS, MODELS, BUDGET = 6_000, 4_000, "ease,slit", "240s"


class Knobs(NamedTuple):
    """How slates are composed."""

    diversity: float = 0.0
    method: str = "pairs"
    sharpness: float = 1.0
    reach: float = 0.0


class Figures(NamedTuple):
    """What slates are like."""

    ndcg: float
    ild: float
    coverage: float
    each: npt.NDArray[np.float64]
    """float64 (n,): NDCG of each user."""

    def plain(self) -> dict[str, float]:
        """Return the means."""
        return {"ndcg": self.ndcg, "ild": self.ild, "coverage": self.coverage}


class Blended(NamedTuple):
    """A blend as it was fitted, and the second stage over it, where there is one."""

    models: Mapping[str, Model]
    weights: Mapping[str, float]
    ranker: Ranker | None = None

    def lists(self, exam: Exam) -> Candidates:
        """Return what serving would compose from: scores fall from 1 where trees give them."""
        if self.ranker is None:
            return blend_lists(self.models, self.weights, exam.queries, DEPTH)
        ranker = replace(self.ranker, facts=ItemFacts.of(exam.split.train))
        ranked = rank_lists(self.models, self.weights, ranker, exam.queries, DEPTH)
        return odds(ranked)


class Ground(NamedTuple):
    """Ranked lists to compose from, and what marks the slates."""

    lists: Candidates
    likeness: list[np.ndarray]
    exam: Exam
    vectors: sparse.csr_array


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Amazon Beauty."""
    parser = study.parser(__doc__)
    parser.add_argument("--users", type=int, default=USERS, help="at most so many test users")
    parser.add_argument(
        "--likeness",
        choices=tuple(LIKENESS),
        default="attributes",
        help="items are alike by the cosine of their brand and categories, or by TF-IDF of words",
    )
    parser.add_argument("--windows", type=int, default=0, help="earlier spans to learn from")
    parser.add_argument("--untuned", action="store_true", help="models keep their first settings")
    parser.add_argument("--picture", type=Path, help="draw the curve here (SVG)")
    parser.set_defaults(models=MODELS, budget=BUDGET)
    args = parser.parse_args(argv)
    source = data.load(data.find(args.data, "beauty"))
    with Meter() as meter:
        split = _split(source)
        valid, test, blend = _grounds(args, source, split)
        tried = _tried(valid)
        chosen = _chosen(tried)
        base, figures = mark(test, Knobs()), {}
        for name, knobs in chosen.items():
            figures[name] = _against(base, mark(test, knobs), args.seed)
            report.say(f"{name}: {figures[name]}")
        best = chosen["ild at 1.2 %"]
        curve = [(d, mark(test, best._replace(diversity=d))) for d in KNOB]
        models = {"plain": base, **{f"knob {d:g}": row for d, row in curve}}
        if blend.ranker is not None:
            first = blend._replace(ranker=None).lists(test.exam)
            models["blend alone"] = mark(test._replace(lists=first), Knobs())
    _print(models, figures)
    if args.picture:
        draw(args.picture, source.name, base, curve)
    return report.outcome(
        meter,
        protocol=(
            f"{test.exam.split.protocol}; {'untuned ' * args.untuned}blend {blend.weights}"
            f"{', ordered again by a second stage' * (blend.ranker is not None)}, fitted as for "
            f"ranked lists, its first {DEPTH} composed to {K}; {len(test.exam):,} test users, "
            f"knobs chosen on {len(valid.exam):,} validation users at {CAUTION:.0%} of each loss, "
            "losses smoothed along each knob; "
            f"ILD: mean 1 - cosine over pairs, of {LIKENESS[args.likeness]}"
        ),
        figures={f"{name}: {key}": v for name, row in figures.items() for key, v in row.items()},
        models={name: row.plain() for name, row in models.items()},
        seed=args.seed,
        fingerprint=source.data.fingerprint,
        data=source.name,
        chosen={name: knobs._asdict() for name, knobs in chosen.items()},
        tried=[(*knobs, *row.plain().values()) for knobs, row in tried.items()],
    )


def mark(ground: Ground, knobs: Knobs) -> Figures:
    """Compose a slate for each user, one after the other, and measure all of them."""
    lists, alike, exam, vectors = ground
    exposure = np.zeros(vectors.shape[0])
    slates = []
    for query in range(len(lists)):
        items, scores = lists.row(query)
        if len(items) > 1:
            problem = problem_of(scores, alike[query], knobs, exposure[items])
            items = items[compose(problem, prices=False).order]
        exposure[items] += 1
        slates.append(items[:K])
    out = Candidates.of(slates)
    found = ndcg(hits(out, exam.targets, K), exam.targets.counts, K)
    shown = membership(out, vectors.shape[0])
    spread = diversity(shown, vectors)
    reached = coverage(np.asarray(shown.sum(axis=0)))
    each = np.asarray(found[exam.warm], np.float64)
    return Figures(float(each.mean()), float(np.nanmean(spread)), float(reached), each)


def problem_of(
    scores: np.ndarray, likeness: np.ndarray, knobs: Knobs, exposure: np.ndarray
) -> Problem:
    """Return the problem of one user; `exposure` is how often each candidate was shown."""
    relevance = np.clip(scores / scores.max(), 0, 1).astype(np.float64) ** knobs.sharpness
    return Problem(
        min(K, len(scores)),
        relevance,
        likeness,
        diversity=knobs.diversity,
        method=knobs.method,  # type: ignore[arg-type]
        bonus=knobs.reach / (1 + exposure) if knobs.reach else np.zeros(0),
    )


def draw(path: Path, name: str, base: Figures, curve: Sequence[tuple[float, Figures]]) -> None:
    """Draw accuracy kept against variety won."""
    kept = [100 * (row.ndcg / base.ndcg - 1) for _, row in curve]
    won = [100 * (row.ild / base.ild - 1) for _, row in curve]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(kept, won, "o-", color=PALETTE[0])
        for (knob, _), x, y in zip(curve, kept, won, strict=True):
            axes.annotate(f"{knob:g}", (x, y), (4, -10), textcoords="offset points", fontsize=8)
        axes.set_xlabel("NDCG@10 against no variety, %")
        axes.set_ylabel("intra-list diversity, %")
        axes.set_title(f"{name}: the knob `diversity`")
        figure.savefig(path, format="svg", metadata={"Date": None})


def _grounds(
    args: argparse.Namespace, source: Folder, split: Split
) -> tuple[Ground, Ground, Blended]:
    most = study.QUICK_USERS if args.quick else VALID_USERS
    trial = Trial.of(split.validation(), max_users=most, heat_users=study.QUICK_USERS)
    entrants = study.entrants(args, source)
    if args.untuned:
        entrants = {name: study.first_settings(one) for name, one in entrants.items()}
    found = choose(
        entrants,
        trial,
        budget_s=seconds(args.budget),
        clock=process_time if args.processor_time else perf_counter,
        progress=study._say,
    )
    weights = found.blend.weights
    blend = Blended({name: found.choices[name].model for name in weights}, weights)
    report.say(f"blend: validation {found.blend.score:.4f}: {weights}")
    exam, asked = trial.exam, args.users
    if args.rank:
        ranked = _ranked(blend, trial.exam.split, args.windows)
        report.say(f"second stage: {ranked.gain:+.4f} {ranked.interval}")
        blend = blend._replace(ranker=ranked.ranker)
        exam = Exam.of(trial.exam.split.among(ranked.judges), max_users=most)
    valid = _ground(blend.lists(exam), exam, args.likeness)
    exam = Exam.of(split, max_users=study.QUICK_USERS if args.quick else asked, seed=args.seed)
    if exam.split.train.fingerprint != trial.exam.split.train.fingerprint:  # leave-one-out: it is
        blend = blend._replace(models=_again(blend, exam))
    return valid, _ground(blend.lists(exam), exam, args.likeness), blend


def _ranked(blend: Blended, split: Split, windows: int) -> Ranked:
    """Learn a second stage from all validation shoppers, and those of earlier windows."""
    earlier, then = [], split
    for _ in range(windows):
        then = then.validation()
        exam = Exam.of(then)
        earlier.append((_again(blend, exam), exam))
    return learn_ranker(blend.models, blend.weights, Exam.of(split), K, earlier=earlier)


def _again(blend: Blended, exam: Exam) -> dict[str, Model]:
    """Fit the models of a blend on what an exam may learn from."""
    return {name: fit(model.spec, exam)[0] for name, model in blend.models.items()}


def _ground(lists: Candidates, exam: Exam, likeness: str) -> Ground:
    if likeness == "attributes":
        named = item_labels(exam.split.train.item_table)
        alike = [shared([named[i] for i in lists.row(q)[0]]) for q in range(len(lists))]
        return Ground(lists, alike, exam, attributes(named))
    vectors = exam.vectors
    assert vectors is not None, "nothing is known of any item: variety cannot be measured"
    alike = []
    for query in range(len(lists)):
        own = vectors[lists.row(query)[0]]
        alike.append((own @ own.T).toarray().astype(np.float32))
        np.fill_diagonal(alike[-1], 1.0)
    return Ground(lists, alike, exam, vectors)


def attributes(named: Sequence[Sequence[str]]) -> sparse.csr_array:
    """Return CSR float32 (items, labels), rows of length 1.

    What most items bear, such as the root of all categories, tells nothing and is left out.
    """
    borne = telling(named)
    length = np.sqrt(np.maximum(np.asarray(borne.sum(axis=1)).ravel(), 1))
    return sparse.csr_array(sparse.diags_array(1 / length) @ borne, dtype=np.float32)


def _split(source: Folder) -> Split:
    if source.clocked:
        return Temporal(days=28.0).apply(source.data)
    labels = source.labels if source.labels is not None else last_labels(source.data)
    return Fixed.model_validate({"labels": list(labels), "refit": False}).apply(source.data)


def _tried(valid: Ground) -> dict[Knobs, Figures]:
    asked = [Knobs()]
    asked += [Knobs(d, m, s) for m in METHODS for s in SHARPNESS for d in TRIED]
    asked += [Knobs(0.0, "pairs", s, r) for s in SHARPNESS for r in REACH]
    out = {}
    for knobs in asked:
        out[knobs] = mark(valid, knobs)
    return out


def _chosen(tried: dict[Knobs, Figures]) -> dict[str, Knobs]:
    """Return the knobs that win most on validation for each loss that is allowed."""
    losses = _losses(tried)

    def kept(loss: float) -> list[Knobs]:
        return [knobs for knobs in tried if losses[knobs] <= CAUTION * loss]

    out = {}
    for loss in LOSSES:
        still = [knobs for knobs in kept(loss) if not knobs.reach]
        out[f"ild at {100 * loss:g} %"] = max(still, key=lambda knobs: tried[knobs].ild)
    wide = max(kept(COVERAGE_LOSS), key=lambda knobs: tried[knobs].coverage)
    return {**out, f"coverage at {100 * COVERAGE_LOSS:g} %": wide}


def _losses(tried: dict[Knobs, Figures]) -> dict[Knobs, float]:
    """Return the share of NDCG that knobs cost on validation, smoothed along each knob.

    ``a x + b x^2``, neither below 0, through all positions x of a knob: the best of many noisy
    losses looks better than it is.
    """
    base, out = tried[Knobs()].ndcg, {Knobs(): 0.0}
    ways = {(k.method, k.sharpness, bool(k.reach)) for k in tried if k != Knobs()}
    for way in ways:
        some = [k for k in tried if (k.method, k.sharpness, bool(k.reach)) == way and k != Knobs()]
        x = np.array([k.diversity + k.reach for k in some])
        lost = np.array([1 - tried[k].ndcg / base for k in some])
        powers = np.stack((x, x**2), axis=1)
        fitted = powers @ nnls(powers, lost)[0]
        out |= dict(zip(some, fitted.tolist(), strict=True))
    return out


def _against(base: Figures, row: Figures, seed: int) -> dict[str, Any]:
    drawn = bootstrap(np.stack((base.each, row.each), axis=1), seed=seed)
    low, high = np.percentile(100 * (1 - drawn[:, 1] / drawn[:, 0]), (2.5, 97.5))
    return {
        "loss_%": round(100 * (1 - row.ndcg / base.ndcg), 2),
        "loss_low_%": round(float(low), 2),
        "loss_high_%": round(float(high), 2),
        "ild_%": round(100 * (row.ild / base.ild - 1), 2),
        "coverage_%": round(100 * (row.coverage / base.coverage - 1), 2),
    }


def _print(models: Mapping[str, Figures], figures: Mapping[str, dict[str, Any]]) -> None:
    print(f"{'':<20}{'NDCG@10':>9}{'ILD':>9}{'coverage':>10}")
    for name, row in models.items():
        print(f"{name:<20}{row.ndcg:9.4f}{row.ild:9.4f}{row.coverage:10.4f}")
    for name, told in figures.items():
        print(f"{name}: {told}")

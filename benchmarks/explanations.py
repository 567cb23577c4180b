"""Are reasons true: what a score loses without the named past item, against what was said.

A recipe is fitted on a folder; random shoppers are asked for a slate, and each reason of each item
makes a case. Its past item is taken out of the shopper's history, every model of the blend is asked
about the item again, from the beginning, and the loss is compared with the one that the reason
states. A case holds where the two differ by no more than 5 % of the score (`exact`: 0.01 %).

    python -m benchmarks explanations                              (Online Retail and Beauty)
    python -m benchmarks explanations --data DIR --recipe mine.toml
"""

from collections.abc import Iterator
from time import perf_counter
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks import data, report
from endcap.evaluate.meter import Meter
from endcap.models.candidates import Candidates
from endcap.prepare.dataset import Dataset
from endcap.recommend.artefacts import Artefact
from endcap.recommend.blend import Blend, blend
from endcap.recommend.evidence import Evidence, Moment
from endcap.recommend.explain import explain
from endcap.recommend.recipe import Level, Recipe, load_recipe
from endcap.recommend.state import History
from endcap.recommend.training import fit
from endcap.recommend.weighing import Weighing

FOLDERS: Final = ("online-retail", "beauty")
TOLERANCE, EXACT = 0.05, 1e-4
K: Final = 10
LEVELS: Final = {
    "the shop's own": {},
    "neighbours": {"user-knn": 0.6, "vmis-knn": 0.4},
    "linear": {"ease": 0.5, "item-knn": 0.3, "content": 0.2},
}
"""Blends that are tried beside the recipe's, of the models that are fitted for it."""
MORE: Final = {"user-knn": {}, "vmis-knn": {}}


class Case(NamedTuple):
    """One reason: the part of the item's score that it is said to lose, and what it does lose."""

    said: float
    lost: float


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Online Retail and Amazon Beauty."""
    parser = report.parser(__doc__)
    parser.add_argument("--recipe", default="shop", help="whose models and home level are used")
    parser.add_argument("--cases", type=int, default=1_000, help="of each blend")
    args = parser.parse_args(argv)
    places = [args.data] if args.data else [data.find(None, name) for name in FOLDERS]
    figures: dict[str, Any] = {}
    rows: dict[str, dict[str, Any]] = {}
    with Meter() as meter:
        for place in places:
            source = data.load(data.find(place, ""))
            for name, row in _of_folder(source.data, args).items():
                rows[f"{source.name}: {name}"] = row
                figures |= {f"{source.name}: {name}: {key}": value for key, value in row.items()}
    report.show("What a score loses without the named past item, against what was said", rows)
    return report.outcome(
        meter,
        protocol=(
            f"{args.cases:,} reasons of slates of {K} of random shoppers for each blend; the past "
            "item deleted from the history, all models asked again, their scales as they were; "
            f"within: |said - lost| <= {TOLERANCE:.0%} of the score"
        ),
        figures=figures,
        models=rows,
        seed=args.seed,
    )


def _of_folder(known: Dataset, args: Any) -> dict[str, dict[str, Any]]:
    recipe = load_recipe(args.recipe)
    more = {name: {"plugin": name, "settings": settings} for name, settings in MORE.items()}
    told = recipe.model_dump(mode="json")
    recipe = Recipe.parse({**told, "models": {**more, **told["models"]}}, where="benchmark")
    artefact = Artefact.of(recipe, fit(known, recipe, seed=args.seed).models, end=known.end)
    out = {}
    for name, weights in LEVELS.items():
        level = recipe.placements["home"].levels[0]
        if weights:
            level = level.model_copy(update={"weights": weights})
        out[name] = judge(artefact, known, level, args.cases, args.seed)
        report.say(f"{name}: {out[name]}")
    return out


def judge(
    artefact: Artefact, known: Dataset, level: Level, cases: int, seed: int
) -> dict[str, Any]:
    """Return how many of `cases` random reasons are true, the worst, and the time it took."""
    found: list[Case] = []
    took: list[float] = []
    for history in _histories(known, seed):
        found += _cases(artefact, history, level, took)
        if len(found) >= cases:
            break
    table = np.array(found[:cases])
    off = np.abs(table[:, 0] - table[:, 1])
    return {
        "cases": len(table),
        "within": float((off <= TOLERANCE).mean()),
        "exact": float((off <= EXACT).mean()),
        "worst": float(off.max()),
        "lost": float(table[:, 1].mean()),
        "explain_ms": float(np.median(took) * 1e3),
    }


def _histories(known: Dataset, seed: int) -> Iterator[History]:
    told = known.sequences()
    ids = known.items.array.to_pylist()
    for user in np.random.default_rng(seed).permutation(len(known.users)):
        span = slice(told.indptr[user], told.indptr[user + 1])
        if span.stop - span.start > 1:
            yield History(
                [ids[item] for item in told.items[span]],
                [known.kind_names[kind] for kind in told.kinds[span]],
                told.times[span],
                told.values[span],
            )


def _cases(artefact: Artefact, history: History, level: Level, took: list[float]) -> Iterator[Case]:
    evidence = _evidence(artefact, history)
    taken = np.unique(evidence.query.items)
    answer = blend(
        artefact.models, level.weights, evidence.within(None, taken), candidates=200, k=K
    )
    began = perf_counter()
    told = explain(artefact.models, answer, evidence, otherwise="history")
    took.append(perf_counter() - began)
    for at, reasons in enumerate(told):
        for reason in reasons:
            if reason.item_id is not None:
                kept = np.array([i != reason.item_id for i in history.item_ids])
                without = _score(artefact, answer, history.where(kept), answer.items[at])
                score = float(answer.scores[at])
                yield Case(reason.loss, 1 - without / score)


def _evidence(artefact: Artefact, history: History) -> Evidence:
    now = int(history.times[-1]) if len(history.times) else 0
    moment = Moment.of(history, (), now, artefact.items)
    return moment.evidence("history", 30.0, Weighing(int(artefact.facts["end"])))


def _score(artefact: Artefact, answer: Blend, history: History, item: np.int32) -> float:
    """Ask every model again; its scale is that of the whole history."""
    query = _evidence(artefact, history).query
    one = Candidates.of([np.array([item], np.int32)])
    said: npt.NDArray[np.float64] = np.array(
        [
            scale * np.nan_to_num(artefact.models[name].score(query, one)[0])
            for name, scale in answer.scales.items()
        ]
    )
    return float(said.sum())

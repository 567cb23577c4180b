"""Learn how often what a level proposes is clicked and bought, on what its models have not seen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import structlog

from endcap.evaluate.pool import blend_lists
from endcap.evaluate.ranking import best_lists, odds
from endcap.models.base import Model
from endcap.models.candidates import Candidates
from endcap.models.chances import ENOUGH, OUTCOMES, Chances, Curve, calibration_error
from endcap.models.queries import Queries
from endcap.models.ranking import Ranker
from endcap.prepare.split import Split
from endcap.recommend.composing import DEPTH
from endcap.recommend.recipe import HOME, Level, Recipe
from endcap.schema.errors import EndcapError

MOST: Final = 2_000
"""Shoppers that curves are learnt from, at most."""
TOP: Final = 10
"""Reliability is told of the first places too: they are what is shown."""
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ask = Callable[[Queries], Candidates]
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Answers:
    """What a level proposed to n shoppers, and what they took up.

    Attributes
    ----------
    owner, items, places, scores
        int64, int32, int64 (from 1) and float64 (nnz,): of each candidate, in rising order of
        owners.
    hits
        Outcome -> bool (nnz,).
    """

    owner: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    places: npt.NDArray[np.int64]
    scores: Floats
    hits: Mapping[str, Bools]


def learn_chances(
    levels: Mapping[str, Ask],
    split: Split,
    *,
    exclude_seen: bool = True,
    most: int = MOST,
    seed: int = 0,
) -> Chances | None:
    """Learn one curve for each level and outcome.

    The chance is that a shopper who comes in the held-out weeks takes the item up in them, be it
    shown or not: all who did anything then are asked. Reliability is judged on half of the
    shoppers by curves from the other half; the curves that are kept are learnt from all.

    Parameters
    ----------
    levels
        Name -> who answers queries, with scores as in serving.
    split
        Cut for the whole; levels are asked from its history, its target says what is seen.
    exclude_seen
        Whether what a shopper has is left out, as the home page does.

    Returns
    -------
    None where no outcome happened often enough.
    """
    rng = np.random.default_rng([seed, 11])
    asked = np.sort(rng.permutation(len(split.users))[:most])
    half = rng.random(len(asked)) < 0.5
    curves: dict[tuple[str, str], Curve] = {}
    facts: dict[str, Any] = {}
    for level, ask in levels.items():
        answers = answers_of(ask, split, asked, exclude_seen=exclude_seen)
        for outcome in OUTCOMES:
            curve = Curve.fit(answers.scores, answers.places, answers.hits[outcome])
            if curve is not None:
                curves[level, outcome] = curve
                facts[f"{level}: {outcome}"] = _judged(answers, outcome, half[answers.owner])
    return Chances(curves, {"shoppers": len(asked), **facts}) if curves else None


def answers_of(
    ask: Ask, split: Split, asked: npt.NDArray[np.int64], *, exclude_seen: bool = True
) -> Answers:
    """Ask a level about some of the shoppers of a split, and look up what they took up.

    Parameters
    ----------
    asked
        Places in ``split.users``, rising.
    """
    users = split.users[asked]
    queries = Queries.of_users(split.history, users)
    queries = replace(queries, now=split.now[asked])
    if exclude_seen:
        queries = queries.excluding(Queries.of_users(split.seen, users))
    return _answers(ask(queries), split, users)


def asking(
    models: Mapping[str, Model],
    weights: Mapping[str, float],
    ranker: Ranker | None = None,
    last: int | None = None,
    *,
    needs_history: bool = True,
) -> Ask:
    """Return who answers as a level does: its blend, ordered again by `ranker` where there is one.

    Parameters
    ----------
    last
        How many events of the history are told; None tells all.
    needs_history
        Whether the level passes over whoever has none.
    """
    known = {name: weight for name, weight in weights.items() if name in models}
    total = np.float32(sum(known.values()))

    def ask(queries: Queries) -> Candidates:
        told = queries if last is None else queries.last(last)
        if ranker is None:
            found = blend_lists(models, known, told, DEPTH)
            if needs_history:
                found = found.keep((np.diff(told.indptr) > 0)[found.query_of])
            return found.with_scores(found.scores / total)
        lists = best_lists(models, known, told, DEPTH)
        scores = ranker.score(told, lists.candidates, lists.shares)
        return odds(lists.candidates.with_scores(scores)).sorted()

    return ask


def recipe_chances(
    recipe: Recipe, split: Split, *, exclude_seen: bool = True, seed: int = 0
) -> Chances | None:
    """Fit the home page's models of a recipe on the training part, and learn their chances."""
    levels = recipe.placements[HOME].levels
    wanted = {name for level in levels for name in level.weights}
    specs = recipe.specs(split.train.shape[1])
    models = {
        name: spec.fit(split.train, np.random.default_rng([seed, *name.encode()]))
        for name, spec in specs.items()
        if name in wanted
    }
    asked = {level.name: _of_level(level, models) for level in levels if level.weights}
    return learn_chances(asked, split, exclude_seen=exclude_seen, seed=seed)


def _of_level(level: Level, models: Mapping[str, Model]) -> Ask:
    last = 1 if level.evidence == "session" else None
    return asking(models, level.weights, last=last, needs_history=level.evidence != "none")


def tolerant(learn: Callable[[], Chances | None]) -> Chances | None:
    """Return what was learnt; where that fails, None and a warning: slates need no chances."""
    try:
        return learn()
    except (EndcapError, MemoryError) as error:
        log.warning("no chances were learnt", reason=str(error))
        return None


def _answers(found: Candidates, split: Split, users: npt.NDArray[np.int32]) -> Answers:
    width = split.held.shape[1]
    asked = users[found.query_of].astype(np.int64) * width + found.items
    places = np.arange(len(found.items)) - found.indptr[:-1][found.query_of] + 1
    hits: dict[str, Bools] = {}
    for outcome, kinds in OUTCOMES.items():
        mask = np.zeros(split.held.interactions.num_rows, bool)
        for kind in set(kinds) & set(split.held.kind_names):
            mask |= split.held.of_kind(kind)
        held = split.held.where(mask)
        taken = held.column("user").astype(np.int64) * width + held.column("item")
        hits[outcome] = np.isin(asked, taken)
    return Answers(found.query_of, found.items, places, found.scores.astype(np.float64), hits)


def _judged(answers: Answers, outcome: str, learnt: Bools) -> dict[str, float]:
    """Return how reliable curves from some shoppers are for the others."""
    hits, scores, places = answers.hits[outcome], answers.scores, answers.places
    told: dict[str, float] = {"share": float(hits.mean()), "happened": int(hits.sum())}
    curve = Curve.fit(scores[learnt], places[learnt], hits[learnt], ENOUGH // 2)
    if curve is None:
        return told
    chances = curve(scores[~learnt], places[~learnt])
    top = places[~learnt] <= TOP
    told["ece"] = calibration_error(chances, hits[~learnt])
    told[f"share@{TOP}"] = float(hits[~learnt][top].mean())
    told[f"ece@{TOP}"] = calibration_error(chances[top], hits[~learnt][top])
    return told

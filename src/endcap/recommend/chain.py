"""One level of the fallback chain: evidence, retrieve and filter, rank, explain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from endcap.models.base import Model
from endcap.models.live import LiveCounts
from endcap.models.queries import Queries
from endcap.models.ranking import Ranker
from endcap.models.refill import RefillModel
from endcap.recommend.along import counting_along
from endcap.recommend.artefacts import Artefact
from endcap.recommend.blend import Blend, blend
from endcap.recommend.evidence import Evidence, Moment
from endcap.recommend.explain import explain
from endcap.recommend.hearing import hear
from endcap.recommend.newcomers import ANCHORS, Fresh, arrivals
from endcap.recommend.recipe import Level
from endcap.recommend.second import DEPTH, rank_again, ranks
from endcap.recommend.shelf import Pick, Shelf
from endcap.recommend.slate import Reason
from endcap.recommend.weighing import Weighing
from endcap.schema.stages import stage

Rows = npt.NDArray[np.int32]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """What the levels of a placement are asked, each in its turn.

    Attributes
    ----------
    moment
        The shopper.
    allowed
        Rows that may be shown; None where all may.
    seed
        Breaks ties.
    weigh
        Turns events into preferences, as it did in training.
    boost
        float32 (n_items,): times what each score counts; None leaves them as they are.
    live
        What everybody does now; None where nobody counts along.
    fresh
        Items that the models do not know; None where there are none.
    """

    moment: Moment
    allowed: Rows | None
    seed: int
    weigh: Weighing
    boost: npt.NDArray[np.float32] | None = None
    live: LiveCounts | None = None
    fresh: Fresh | None = None


def descend(artefact: Artefact, level: Level, question: Question, shelf: Shelf) -> None:
    """Let one level fill what is missing on the shelf.

    Filters go into retrieval: each model proposes only what may be shown and is not taken, so that
    a filter never shortens a slate that could be full.
    """
    minutes = artefact.recipe.session_minutes
    evidence = question.moment.evidence(level.evidence, minutes, question.weigh)
    if level.evidence != "none" and not len(evidence):
        shelf.skip(f"{level.name}: the models know nothing to go by")
        return
    also = question.moment.also if question.fresh is not None else {}
    models, weights = counting_along(artefact, level, question.live, evidence, also)
    query = evidence.within(question.allowed, _rows(artefact, shelf.taken))
    fresh = question.fresh
    ranker = artefact.ranker if level.ranked else None
    if ranker is not None and not ranks(ranker, artefact.models, level.weights):
        ranker = None  # another blend than it learned from
    with stage("retrieve"):
        answer = blend(
            models,
            weights,
            query,
            candidates=level.candidates,
            k=max(shelf.missing, DEPTH if ranker else 0, ANCHORS if fresh else 0),
            seed=question.seed,
            boost=question.boost,
        )
    first = answer
    answer = first.first(max(shelf.missing, DEPTH) if ranker else shelf.missing)
    if ranker is not None:
        with stage("rank"):
            answer = _again(ranker, artefact, level, question, answer, query, shelf)
    shelf.notes += [f"{level.name}: model {name!r} failed" for name in answer.failed]
    otherwise = level.name if level.evidence == "none" else "history"
    told = _Told(models, answer, evidence, otherwise)
    ids = artefact.items.ids(answer.items)
    due = _due(artefact, level, query)
    rows = enumerate(
        zip(ids, answer.scores.tolist(), answer.sources, answer.items.tolist(), strict=True)
    )
    picks = [
        Pick(item_id, score, source, level=level.name, place=at, told=told, due=due.get(row, 0))
        for at, (item_id, score, source, row) in rows
    ]
    if fresh is not None:
        heard = hear(models, weights, first, evidence)
        new = arrivals(artefact.described, first, evidence, fresh, shelf.taken, heard)
        picks = _among(picks, new, first if ranker else None, level.name)
    shelf.put(level.name, picks)


def _among(known: list[Pick], new: list[Pick], first: Blend | None, level: str) -> list[Pick]:
    """Return known items and newcomers by score, known ones first where it is the same.

    Parameters
    ----------
    first
        The blend before a second stage ordered again: a newcomer takes the score that stands at
        its place among the blend's, for it is on their scale.
    """
    if first is not None and known:
        ladder, rungs = -first.scores, [pick.score for pick in known]
        places = np.searchsorted(ladder, [-pick.score for pick in new], side="right")
        new = [
            msgspec.structs.replace(pick, score=rungs[min(int(at), len(rungs) - 1)])
            for pick, at in zip(new, places, strict=True)
        ]
    return sorted(
        [*known, *(msgspec.structs.replace(pick, level=level) for pick in new)],
        key=lambda p: -p.score,
    )


def _due(artefact: Artefact, level: Level, query: Queries) -> dict[int, int]:
    """Return item row -> when it is needed again, by the models of a level that foresee it."""
    out: dict[int, int] = {}
    for name in level.weights:
        model = artefact.models.get(name)
        if isinstance(model, RefillModel):
            _, items, times = model.due(query)
            out |= dict(zip(items.tolist(), times.tolist(), strict=True))
    return out


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """Explains what is shown of a level's answer, once it is known what that is."""

    models: Mapping[str, Model]
    answer: Blend
    evidence: Evidence
    otherwise: str

    def __call__(self, places: Sequence[int]) -> list[tuple[Reason, ...]]:
        shown = self.answer.only(np.asarray(places, np.int64))
        return explain(self.models, shown, self.evidence, otherwise=self.otherwise)


def _again(  # noqa: PLR0917
    ranker: Ranker,
    artefact: Artefact,
    level: Level,
    question: Question,
    answer: Blend,
    query: Queries,
    shelf: Shelf,
) -> Blend:
    """Order again; where the second stage fails, the order of the blend stands."""
    try:
        return rank_again(
            ranker,
            artefact.models,
            level.weights,
            answer,
            query,
            k=shelf.missing,
            seed=question.seed,
            boost=question.boost,
        )
    except Exception:  # it reads plug-ins, which may raise anything
        log.exception("second stage failed", level=level.name)
        shelf.notes.append(f"{level.name}: the second stage failed")
        return answer.first(shelf.missing)


def _rows(artefact: Artefact, taken: set[str]) -> Rows:
    rows = artefact.items.places(taken)
    return np.sort(rows[rows >= 0])

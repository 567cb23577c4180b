"""The second stage of a level: the best of a blend, ordered again by what a ranker learned."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from endcap.models.base import Model
from endcap.models.candidates import Candidates
from endcap.models.queries import Queries
from endcap.models.ranking import Ranker
from endcap.recommend.blend import Blend, ties

DEPTH: Final = 100
"""Candidates of the blend that are ordered again, in learning and in answering."""
RECENT: Final = (1, 3)
"""What models that explain say of the last events alone is read as well."""


def opinions(models: Mapping[str, Model], members: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of what a ranker over `members` reads, in order."""
    telling = (name for name in members if models[name].answers.explains)
    return (*members, *(f"{name}_last_{n}" for name in telling for n in RECENT))


def recent(
    models: Mapping[str, Model], members: tuple[str, ...], queries: Queries, best: Candidates
) -> list[npt.NDArray[np.float32]]:
    """Return float32 (nnz,) for each opinion about the last events alone."""
    telling = [models[name] for name in members if models[name].answers.explains]
    return [model.score(queries.last(n), best) for model in telling for n in RECENT]


def ranks(ranker: Ranker, models: Mapping[str, Model], weights: Mapping[str, float]) -> bool:
    """Whether a ranker can read these models: they are those it learned from."""
    members = tuple(weights)
    able = all(name in models for name in members)
    return able and opinions(models, members) == ranker.members


def rank_again(
    ranker: Ranker,
    models: Mapping[str, Model],
    weights: Mapping[str, float],
    answer: Blend,
    query: Queries,
    *,
    k: int,
    seed: int = 0,
    boost: npt.NDArray[np.float32] | None = None,
) -> Blend:
    """Return the k best of a blend's best, by the ranker.

    A score is ``exp(s - max s)`` for the ranker's s, times the boost: 1 for the best, and the
    ratio of two is the odds that the trees give one before the other. The parts stay those of the
    blend: they say who proposed an item and what speaks for it.

    Parameters
    ----------
    models, weights
        Those that the ranker learned from, without what counts along.
    answer
        The `DEPTH` best of their blend, perhaps with others that count along.
    """
    if not len(answer.items):
        return answer
    shares = np.zeros((len(weights), len(answer.items)), np.float32)
    rows = dict(zip(answer.scales, answer.parts, strict=True))
    for at, (name, weight) in enumerate(weights.items()):
        if name in rows and weight:
            shares[at] = rows[name] * (answer.total / weight)
    first = np.asarray([weights[name] for name in weights], np.float32) @ shares
    best = Candidates.of([answer.items], [first])
    said = np.stack((*shares, *recent(models, tuple(weights), query, best)))
    scores = ranker.score(query, best, said).astype(np.float64)
    scores = np.exp(scores - scores.max()).astype(np.float32)
    if boost is not None:
        scores *= boost[answer.items]
    order = np.lexsort((ties(answer.items, seed), -scores))
    order = order[scores[order] > 0][:k]
    return replace(
        answer, items=answer.items[order], scores=scores[order], parts=answer.parts[:, order]
    )

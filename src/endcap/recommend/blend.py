"""Retrieve and rank: several models propose, and one weighted sum decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
import structlog

from endcap.models.base import Model
from endcap.models.listed import cleaned, first_of, union_of
from endcap.models.queries import Queries

Floats = npt.NDArray[np.float32]
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
log = structlog.get_logger(__name__)
MIX: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Blend:
    """The ranked answer of one level to one query.

    Attributes
    ----------
    items
        int32 (n,): item rows, best first.
    scores
        float32 (n,): in (0, 1]: the weighted mean of the models' scores, each over its best; times
        the boost where there is one.
    parts
        float32 (n_models, n): what each model adds to each score; their sum is the score before
        any boost.
    scales
        Model name -> the factor from its own score to its part, in the order of `parts`.
    failed
        Models that raised, left out of the sum.
    total
        Sum of the weights of those that answered.
    """

    items: npt.NDArray[np.int32]
    scores: Floats
    parts: Floats
    scales: dict[str, float]
    failed: tuple[str, ...] = ()
    total: float = 1.0

    def first(self, k: int) -> "Blend":
        """Return the k best."""
        return replace(self, items=self.items[:k], scores=self.scores[:k], parts=self.parts[:, :k])

    @property
    def sources(self) -> list[str]:
        """The model that adds most to each item."""
        names = list(self.scales)
        return [names[best] for best in self.parts.argmax(axis=0)] if names else []

    def only(self, places: npt.NDArray[np.int64]) -> "Blend":
        """Return the answer with the items at some places alone."""
        return replace(
            self,
            items=self.items[places],
            scores=self.scores[places],
            parts=self.parts[:, places],
        )


def blend(
    models: Mapping[str, Model],
    weights: Mapping[str, float],
    query: Queries,
    *,
    candidates: int,
    k: int,
    seed: int = 0,
    boost: Floats | None = None,
) -> Blend:
    """Return the k best of what the models propose for one query.

    Each model proposes its best `candidates`; every model scores the union; each model's scores
    are divided by the best of them (row-max) and summed by weight, NaN counting 0. Items with a sum
    of 0 or less are left out: nothing speaks for them.

    Parameters
    ----------
    models, weights
        Models by name; weights of models that are not there are passed over. A model that raises
        is logged and left out.
    query
        Exactly one query; its exclusions and `allowed` are honoured by each model.
    seed
        Breaks ties; 0 breaks them by row number.
    boost
        float32 (n_items,): the factor of each item's score; None is 1.
    """
    failed: list[str] = []
    asked = {name: models[name] for name in weights if name in models}
    opinions = _each(asked, lambda model: model.opinion(query, max(candidates, k)), failed)
    if not opinions:
        return Blend(*_nothing(), {}, tuple(failed))
    union = union_of([opinion.proposed for opinion in opinions.values()])
    scored = _each(opinions, lambda opinion: opinion.score(union), failed)
    if not scored:
        return Blend(*_nothing(), {}, tuple(failed))
    parts, scales = _parts(scored, weights)
    scores = parts.sum(axis=0, dtype=np.float32)
    if boost is not None:
        scores *= boost[union.items]
    order = _best(union.items, scores, k, seed)
    total = sum(weights[name] for name in scored)
    return Blend(union.items[order], scores[order], parts[:, order], scales, tuple(failed), total)


def _best(items: npt.NDArray[np.int32], scores: Floats, k: int, seed: int) -> npt.NDArray[np.intp]:
    """Return the places of the k best that something speaks for; `items` rise."""
    if not seed:
        return first_of(scores, k)
    order = np.lexsort((ties(items, seed), -scores))
    return order[scores[order] > 0][:k]


def _each(
    asked: Mapping[str, Asked], ask: Callable[[Asked], Answer], failed: list[str]
) -> dict[str, Answer]:
    """Ask each; what raises is logged, added to `failed` and left out."""
    answers: dict[str, Answer] = {}
    for name, one in asked.items():
        try:
            answers[name] = ask(one)
        except Exception:  # a plug-in may raise anything, and the shelf must not stay empty
            log.exception("model failed", model=name)
            failed.append(name)
    return answers


def _parts(
    scored: Mapping[str, Floats], weights: Mapping[str, float]
) -> tuple[Floats, dict[str, float]]:
    total = sum(weights[name] for name in scored)
    parts = np.array(list(scored.values()), np.float32)
    best = cleaned(parts)
    scales = {
        name: weights[name] / total / top if top > 0 else 0.0
        for name, top in zip(scored, best.tolist(), strict=True)
    }
    parts *= np.array(list(scales.values()), np.float32)[:, None]
    return parts, scales


def ties(items: npt.NDArray[np.int32], seed: int) -> npt.NDArray[np.uint64]:
    """Return a key that orders equal scores: the row number, or a hash of it and the seed."""
    rows = items.astype(np.uint64)
    if not seed:
        return rows
    mixed = (rows + np.uint64(seed & 0xFFFFFFFF)) * MIX
    return mixed ^ (mixed >> np.uint64(29))


def _nothing() -> tuple[npt.NDArray[np.int32], Floats, Floats]:
    return np.empty(0, np.int32), np.empty(0, np.float32), np.empty((0, 0), np.float32)

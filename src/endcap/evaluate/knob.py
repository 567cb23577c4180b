"""What the knob `diversity` of slates costs a shop, and wins, on events that were held back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from endcap.evaluate.beyond import coverage, membership
from endcap.evaluate.exam import Exam
from endcap.evaluate.metrics import hits, ndcg
from endcap.evaluate.pool import blend_lists
from endcap.evaluate.ranking import Ranked, odds, rank_lists
from endcap.models.base import Model
from endcap.models.candidates import Candidates
from endcap.recommend.composing import DEPTH
from endcap.recommend.slates.alike import likeness, words
from endcap.recommend.slates.compose import compose
from endcap.recommend.slates.problem import Problem

KNOB: Final = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
MOST: Final = 500
"""Shoppers whose slates are composed, at most: about two seconds."""
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Turn:
    """What slates are like at one position of the knob.

    Attributes
    ----------
    diversity
        The position of the knob.
    ndcg, ild, coverage
        NDCG@k of shoppers who bought something later; mean 1 - likeness over the pairs of a slate;
        the share of the items that anybody was shown.
    """

    diversity: float
    ndcg: float
    ild: float
    coverage: float


def turned(
    models: Mapping[str, Model],
    weights: Mapping[str, float],
    exam: Exam,
    k: int,
    *,
    most: int = MOST,
    ranked: Ranked | None = None,
) -> list[Turn]:
    """Compose slates of shoppers at each position of the knob, as a placement would.

    The same candidates, likeness of words and default rules as in serving (`recommend.composing`).

    Parameters
    ----------
    ranked
        The second stage that serves, if any: only shoppers from whom it learned nothing are asked.

    Returns
    -------
    Empty where nothing is said of any item: then the knob does nothing.
    """
    table = exam.split.train.item_table
    told = table.select(["title", "brand", "categories"]).to_pylist()
    if not any(words(row) for row in told) or not exam.warm.any():
        return []
    split = exam.split if ranked is None else exam.split.among(ranked.judges)
    few = Exam.of(split, exclude_seen=exam.exclude_seen, max_users=most, seed=exam.seed)
    if ranked is None:
        lists = blend_lists(models, weights, few.queries, DEPTH)
    else:
        lists = odds(rank_lists(models, weights, ranked.ranker, few.queries, DEPTH))
    alike = [likeness([words(told[i]) for i in lists.row(q)[0]]) for q in range(len(lists))]
    return [_at(knob, lists, alike, few, k) for knob in KNOB]


def plain(curve: list[Turn]) -> list[dict[str, float]]:
    """Return a curve as JSON-ready rows."""
    return [{key: round(value, 5) for key, value in asdict(turn).items()} for turn in curve]


def _at(knob: float, lists: Candidates, alike: list[Floats], exam: Exam, k: int) -> Turn:
    slates, spread = [], []
    for query, near in enumerate(alike):
        items, scores = lists.row(query)
        size = min(k, len(items))
        if size:
            relevance = np.clip(scores / scores.max(), 0, 1).astype(np.float64)
            order = compose(Problem(size, relevance, near, diversity=knob), prices=False).order
            items = items[order]
        if size > 1:
            pairs = near[np.ix_(order, order)].sum() - size
            spread.append(1 - float(pairs) / (size * (size - 1)))
        slates.append(items)
    out = Candidates.of(slates)
    found = ndcg(hits(out, exam.targets, k), exam.targets.counts, k)
    shown = membership(out, len(exam.split.train.items))
    return Turn(
        knob,
        float(found[exam.warm].mean()),
        float(np.mean(spread)) if spread else 0.0,
        float(coverage(np.asarray(shown.sum(axis=0)))),
    )

"""Reasons: the past events that speak for an item, split exactly over a blend of models."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import structlog

from endcap.models.base import Model
from endcap.recommend.along import LIVE_TRENDING
from endcap.recommend.blend import Blend
from endcap.recommend.evidence import Evidence
from endcap.recommend.slate import Reason

TOP: Final = 3
CROWD: Final = ("trending", "popular", LIVE_TRENDING)
"""Models (by their name in the recipe) that speak for everybody alike: a reason of their own."""
log = structlog.get_logger(__name__)


def explain(
    models: Mapping[str, Model],
    answer: Blend,
    evidence: Evidence,
    *,
    otherwise: str,
    top: int = TOP,
) -> list[tuple[Reason, ...]]:
    """Return the weightiest reasons for each item of `answer`.

    For one item, let ``c(m, e)`` be what event e adds to the score of model m
    (`Model.contributions`) times the model's factor in the blend. Events are summed over models
    and gathered by the item they were about. The share of a past item is its sum over everything
    that speaks *for* the item: the positive sums of all past items, and the positive parts of
    models that do not explain. Shares are in [0, 1] and sum to at most 1; where nothing speaks
    against the item and all models explain, a share is exactly what the score would lose, divided
    by the score, were the past item taken out of the history.

    Parameters
    ----------
    otherwise
        The kind of reason for an item that no past event speaks for (``"popular"``).

    Where a model that asks for no history gives more than half of what speaks for an item, it is
    the first reason, with its own share.
    """
    owners = list(dict.fromkeys(evidence.item_ids))
    place = {item_id: at for at, item_id in enumerate(owners)}
    belongs = np.array([place[item_id] for item_id in evidence.item_ids], dtype=np.int64)
    spoken, silent = _speak(models, answer, evidence)
    by_owner = np.zeros((len(answer.items), len(owners)))
    np.add.at(by_owner.T, belongs, spoken.T)
    total = np.maximum(by_owner, 0).sum(axis=1) + silent
    words = _words(evidence, owners)
    reasons: list[tuple[Reason, ...]] = []
    for row, source in enumerate(answer.sources):
        told = models[source].answers
        found = _weightiest(by_owner[row] / total[row] if total[row] else by_owner[row], words, top)
        if told.warm_items:
            found = [replace(r, kind="content") if r.kind == "history" else r for r in found]
        if told.empty and owners and silent[row] > total[row] / 2:  # the crowd decided
            kind = "trending" if source == LIVE_TRENDING else source
            kind = kind if kind in CROWD else otherwise
            found = [Reason(kind, None, float(silent[row] / total[row])), *found][:top]
        reasons.append(tuple(found) or (Reason(otherwise),))
    return reasons


def _weightiest(
    shares: npt.NDArray[np.float64], words: list[tuple[str, str, str]], top: int
) -> list[Reason]:
    best = np.argsort(-shares, kind="stable")[:top]
    told = ((float(shares[at]), *words[at]) for at in best if shares[at] > 0)
    return [Reason(kind, owner, share, event) for share, owner, kind, event in told]


def _speak(
    models: Mapping[str, Model], answer: Blend, evidence: Evidence
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what each event adds to each item (n, h), and what stays unexplained (n,)."""
    spoken = np.zeros((len(answer.items), len(evidence)))
    silent = np.zeros(len(answer.items))
    for part, (name, scale) in zip(answer.parts, answer.scales.items(), strict=True):
        told = _contributions(models[name], name, answer, evidence)
        if told is None:
            silent += np.maximum(part, 0)
        else:
            spoken += np.float64(scale) * np.nan_to_num(told)
    return spoken, silent


def _contributions(
    model: Model, name: str, answer: Blend, evidence: Evidence
) -> npt.NDArray[np.float32] | None:
    try:
        return model.contributions(evidence.query, answer.items)
    except Exception:  # an item without its reason is better than no item
        log.exception("model cannot explain", model=name)
        return None


def _words(evidence: Evidence, owners: list[str]) -> list[tuple[str, str, str]]:
    """Return (owner, kind of reason, kind of event) of each owner, by its weightiest event."""
    best: dict[str, tuple[float, str, str]] = {}
    for item_id, kind, weight, context in zip(
        evidence.item_ids,
        evidence.kinds,
        evidence.query.weights,
        evidence.is_context,
        strict=True,
    ):
        said = (float(weight), "similar" if context else "history", kind)
        if item_id not in best or said[0] > best[item_id][0] or context:
            best[item_id] = said
    return [(owner, *best[owner][1:]) for owner in owners]

"""Reasons: the past events that speak for an item, and what its score would be without them."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from endcap.models.base import Model
from endcap.recommend.along import LIVE_TRENDING
from endcap.recommend.blend import Blend
from endcap.recommend.evidence import Evidence
from endcap.recommend.losing import add_shares, ask_about, deduct, weightiest
from endcap.recommend.slate import Reason, Step

TOP: Final = 3
TRIED: Final = TOP + 1
"""Past items left out for each item: those that seem to weigh most, and one to be sure."""
NEWEST: Final = 10
"""Past items left out where a model does not split its scores: the last ones."""
CROWD: Final = ("trending", "popular", LIVE_TRENDING)
"""Models (by their name in the recipe) that speak for everybody alike: a reason of their own."""
Floats = npt.NDArray[np.float64]
LeftOut = Callable[[npt.NDArray[np.int64], int], npt.NDArray[np.float32]]
"""Given groups of events, scores without each; see `Model.left_out`."""
log = structlog.get_logger(__name__)


class Losses(NamedTuple):
    """What deleting past items does to scores.

    Attributes
    ----------
    score
        float64 (n,): the score of each item before any boost.
    crowd
        float64 (n,): the part of it that no past event changes.
    rest
        float64 (n,): what past items that were not left out add, by the models' own split.
    loss
        float64 (n, owners): what it would lose without each past item; NaN where nobody asked.
    """

    score: Floats
    crowd: Floats
    rest: Floats
    loss: Floats


def explain(
    models: Mapping[str, Model],
    answer: Blend,
    evidence: Evidence,
    *,
    otherwise: str,
    top: int = TOP,
) -> list[tuple[Reason, ...]]:
    """Return the weightiest reasons for each item of `answer`.

    A past item is left out of the history, all its events at once, and every model is asked again
    (models that are sums over the history know the result): the part of the blend's score that is
    gone, with everything else as it was, is the reason's `loss`. So a loss is exact for each past
    item by itself, and losses need not sum to 1: two past items may say the same thing.

    Which past items are left out is told by the models' own split of their scores
    (`Model.contributions`), one more than are named; for a model without one, the last ones
    are. The share of a past item is its loss over all that speaks for the item: the losses of all
    past items (by the split, where they were not left out) and the part of models that ask for no
    history, or the score where that is more.

    Parameters
    ----------
    otherwise
        The kind of reason for an item that no past event speaks for (``"popular"``).

    Where models that ask for no history give more than half of what speaks for an item, that is
    the first reason, with its own share.
    """
    owners = list(dict.fromkeys(evidence.item_ids))
    told = _losses(models, answer, evidence, owners, max(TRIED, top))
    total, best, losses = weightiest(told.loss, told.crowd + told.rest, told.score, top)
    words = _words(evidence, owners)
    reasons: list[tuple[Reason, ...]] = []
    rows = zip(best.tolist(), losses.tolist(), total.tolist(), told.score.tolist(), strict=True)
    for (places, lost, all_of_it, of_score), source, crowd, item in zip(
        rows, answer.sources, told.crowd.tolist(), answer.items.tolist(), strict=True
    ):
        unit, score = all_of_it or 1.0, of_score or 1.0
        speaks = models[source].answers
        found = [
            _because(words[at], loss, unit, score, content=speaks.warm_items)
            for at, loss in zip(places, lost, strict=True)
            if at >= 0
        ]
        if speaks.empty and owners and crowd > unit / 2:  # the crowd decided
            kind = "trending" if source == LIVE_TRENDING else source
            kind = kind if kind in CROWD else otherwise
            found = [Reason(kind, None, crowd / unit, loss=crowd / score), *found][:top]
        if type(models[source]).path is not Model.path:
            found = [_led(reason, models[source], evidence, item) for reason in found]
        reasons.append(tuple(found) or (Reason(otherwise),))
    return reasons


def _because(
    words: tuple[str, str, str], loss: float, unit: float, score: float, *, content: bool
) -> Reason:
    owner, kind, event = words
    kind = "content" if content and kind == "history" else kind
    return Reason(kind, owner, loss / unit, event, loss / score)


def _led(reason: Reason, model: Model, evidence: Evidence, item: int) -> Reason:
    """Return a reason with the path that leads from its past item, where the model knows one."""
    if reason.item_id is None:
        return reason
    past = int(evidence.query.items[evidence.item_ids.index(reason.item_id)])
    try:
        hops = model.path(past, item)
    except Exception:  # a plug-in may raise anything, and the reason is true without it
        log.exception("model cannot tell a path")
        return reason
    ids = [model.items.ids([hop.item])[0] if hop.item >= 0 else None for hop in hops]
    path = tuple(
        Step(hop.relation, hop.inverse, hop.name if item_id is None else "", item_id)
        for hop, item_id in zip(hops, ids, strict=True)
    )
    kind = "history" if path and reason.kind == "content" else reason.kind
    return msgspec.structs.replace(reason, kind=kind, path=path)


def _losses(
    models: Mapping[str, Model], answer: Blend, evidence: Evidence, owners: list[str], tried: int
) -> Losses:
    score = answer.parts.sum(axis=0, dtype=np.float64)
    groups = evidence.groups(owners)
    split = np.zeros((len(answer.items), len(owners)))
    silent = np.zeros(len(answer.items))
    listening: dict[str, tuple[npt.NDArray[np.float32], float, LeftOut]] = {}
    last: npt.NDArray[np.int64] = np.empty(0, np.int64)
    for part, (name, scale) in zip(answer.parts, answer.scales.items(), strict=True):
        speaks = models[name].answers
        if (speaks.empty and not speaks.ratings) or not owners:
            silent += np.maximum(part, 0)
            continue
        shares, left_out = _split(models[name], name, answer, evidence)
        listening[name] = part, scale, left_out
        if shares is None:
            last = np.unique(groups[-NEWEST:])
        else:
            add_shares(split, shares, groups, scale)
    asked, rest, loss = ask_about(split, tried, last)
    of_asked = _only(groups, asked)
    for name, (part, scale, left_out) in listening.items():
        left = _asked_again(left_out, name, of_asked, len(asked))
        if left is None:
            silent += np.maximum(part, 0)
        else:
            deduct(loss, part, left, scale, asked)
    return Losses(score, silent, rest, loss)


def _only(groups: npt.NDArray[np.int64], asked: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return groups counted among those asked, -1 for the others."""
    place = np.full(int(groups.max(initial=-1)) + 1, -1, np.int64)
    place[asked] = np.arange(len(asked))
    return place[groups]


def _split(
    model: Model, name: str, answer: Blend, evidence: Evidence
) -> tuple[npt.NDArray[np.float32] | None, LeftOut]:
    """Return what each event adds, and what can be asked again; an item comes in any case."""
    try:
        return model.split(evidence.query, answer.items)
    except Exception:
        log.exception("model cannot explain", model=name)
        return None, partial(model.left_out, evidence.query, answer.items)


def _asked_again(
    left_out: LeftOut, name: str, groups: npt.NDArray[np.int64], n: int
) -> npt.NDArray[np.float32] | None:
    try:
        return left_out(groups, n)
    except Exception:
        log.exception("model cannot be asked again", model=name)
        return None


def _words(evidence: Evidence, owners: Iterable[str]) -> list[tuple[str, str, str]]:
    """Return (owner, kind of reason, kind of event) of each owner, by its weightiest event."""
    best: dict[str, tuple[float, str, str]] = {}
    for item_id, kind, weight, context in zip(
        evidence.item_ids,
        evidence.kinds,
        evidence.query.weights.tolist(),
        evidence.is_context.tolist(),
        strict=True,
    ):
        said = (weight, "similar" if context else "history", kind)
        if item_id not in best or said[0] > best[item_id][0] or context:
            best[item_id] = said
    return [(owner, *best[owner][1:]) for owner in owners]

"""What would be shown had the shopper not met something: asked again, not guessed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np

from endcap.recommend.recipe import HOME
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request, Slate, SlateItem
from endcap.recommend.state import History, State

DEPTH: Final = 100
"""How far down it is looked for an item that has fallen."""
MOST: Final = 20
"""So many items at most are asked about: each takes a slate more."""


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """Where an item would stand without what speaks for it most.

    Attributes
    ----------
    item_id
        The item.
    without
        The past or context item that is taken away.
    event
        What the shopper did with it (``"purchase"``, ``"view"``), the weightiest.
    rank, rank_without
        Where it stands, and where it would; None where not among the first `among`.
    among
        How far down it was looked for it.
    """

    item_id: str
    without: str
    event: str
    rank: int
    rank_without: int | None
    among: int


def counterfactuals(
    recommender: Recommender,
    request: Request,
    slate: Slate,
    state: State,
    *,
    most: int = MOST,
) -> dict[str, Counterfactual]:
    """Return, for the first items of a slate, where they would stand without their first reason.

    The recommender is asked again, whole pipeline and rules, with every event about the past item
    taken out of the history and the item off the page; it may not come itself, so that nothing
    moves only because it is free to be shown again. Items that no past item speaks for are missing.

    Parameters
    ----------
    request, slate
        What was asked of `recommender` in `state`, and what it answered.
    most
        How many items are asked about; each different reason takes a slate more.
    """
    asked = request.model_copy(update={"now": slate.generated_at})
    placement = recommender.placements.get(request.placement, recommender.placements[HOME])
    deep = request.k if not placement.rules.idle else max(request.k, DEPTH)
    again: dict[str, Slate] = {}
    out: dict[str, Counterfactual] = {}
    for item in slate.items[:most]:
        reason = next((r for r in item.reasons if r.item_id is not None), None)
        if reason is None or reason.item_id is None:
            continue
        lost = reason.item_id
        if lost not in again:
            again[lost] = _without(recommender, asked, state, lost, deep)
        ranks = {other.item_id: other.rank for other in again[lost].items}
        found = ranks.get(item.item_id)
        out[item.item_id] = Counterfactual(item.item_id, lost, reason.event, item.rank, found, deep)
    return out


def rule_of(slate: Slate, item: SlateItem) -> str:
    """Return the rule that put an item in its place; empty where a model did."""
    if not slate.rules:
        return ""
    name = f"pin at {item.rank}"
    return name if any(effect.name == name and effect.met for effect in slate.rules) else ""


def _without(
    recommender: Recommender, request: Request, state: State, item_id: str, k: int
) -> Slate:
    context: Sequence[str] = [i for i in request.context_items if i != item_id]
    changed = {"k": k, "context_items": tuple(context), "exclude": (*request.exclude, item_id)}
    less = cast("State", _Without(state, item_id))
    return recommender.recommend([request.model_copy(update=changed)], less)[0]


class _Without:
    """A state in which nobody ever met an item."""

    def __init__(self, state: State, item_id: str) -> None:
        self._state = state
        self._item_id = item_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    def history(self, actor: str) -> History:
        """See `State.history`."""
        whole = self._state.history(actor)
        return whole.where(np.array([i != self._item_id for i in whole.item_ids], bool))

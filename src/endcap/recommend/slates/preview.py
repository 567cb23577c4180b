"""What rules would do before they go live: slates of some users with and without them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from endcap.recommend.composing import NOT_ON_OFFER
from endcap.recommend.recipe import HOME, Placement
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request, Slate
from endcap.recommend.slates.compose import Effect
from endcap.recommend.slates.rules import Rules
from endcap.recommend.state import State


@dataclass(frozen=True, slots=True)
class Before:
    """One user's slate without and with rules.

    Attributes
    ----------
    user_id
        Whose.
    before, after
        Item ids, best first.
    cost
        The share of expected relevance that all rules cost together.
    effects
        What each rule did, in order of precedence.
    unset
        Pinned items that are not for this user.
    """

    user_id: str
    before: list[str]
    after: list[str]
    cost: float
    effects: tuple[Effect, ...]
    unset: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Price:
    """What one rule does over all users that were looked at: shares and means."""

    name: str
    met: float
    moved: float
    price: float


def preview(
    recommender: Recommender,
    state: State,
    rules: Rules,
    users: Sequence[str],
    *,
    k: int = 10,
    placement: str = HOME,
) -> list[Before]:
    """Ask for the slate of each user with `rules` and without any, as they would be served.

    Raises
    ------
    FilterError
        When a condition names an attribute that no item has.
    """
    rules.check(state.columns)
    place = recommender.placements.get(placement, recommender.placements[HOME])
    bare, ruled = (place.model_copy(update={"rules": chosen}) for chosen in (Rules(), rules))
    return preview_place(recommender, state, placement, bare, ruled, users, k=k)


def preview_place(  # noqa: PLR0917
    recommender: Recommender,
    state: State,
    placement: str,
    now: Placement | None,
    then: Placement,
    users: Sequence[str],
    *,
    k: int = 10,
) -> list[Before]:
    """Ask for the slate of each user as a place answers `now` and as it would `then`.

    Parameters
    ----------
    now
        None where there is no such place yet: then all slates before are empty.

    A place that is asked with an item is asked with the last one of the user.
    """
    bare, ruled = (
        recommender.placed({**recommender.placements, placement: one})
        for one in (now or then, then)
    )
    out = []
    for user in users:
        shown = _last_item(state, user) if any(x.evidence == "context" for x in then.levels) else ()
        request = Request(user_id=user, k=k, placement=placement, prices=True, context_items=shown)
        before, after = (one.recommend([request], state)[0] for one in (bare, ruled))
        if now is None:
            before = dataclasses.replace(before, items=())
        if before.items or after.items:
            out.append(_compared(user, then.rules, before, after))
    return out


def prices(compared: Sequence[Before]) -> list[Price]:
    """Return what each rule does on average, in order of precedence."""
    found: dict[str, list[Effect]] = {}
    for one in compared:
        for effect in one.effects:
            found.setdefault(effect.name, []).append(effect)
    return [
        Price(
            name,
            float(np.mean([effect.met for effect in effects])),
            float(np.mean([effect.moved for effect in effects])),
            float(np.mean([effect.price for effect in effects])),
        )
        for name, effects in found.items()
    ]


def _last_item(state: State, user: str) -> tuple[str, ...]:
    return tuple(state.history(user).item_ids[-1:])


def _compared(user: str, rules: Rules, before: Slate, after: Slate) -> Before:
    shown = [item.item_id for item in after.items]
    return Before(
        user,
        [item.item_id for item in before.items],
        shown,
        after.cost if np.isfinite(after.cost) else 0.0,
        tuple(effect for effect in after.rules if not effect.relaxed.endswith(NOT_ON_OFFER)),
        tuple(pin.item for pin in rules.pins if pin.item not in shown),
    )

"""What rules would do before they go live: slates of some users with and without them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from endcap.recommend.composing import NOT_ON_OFFER
from endcap.recommend.recipe import HOME, Placement
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Expected, Request, Slate
from endcap.recommend.slates.compose import Effect
from endcap.recommend.slates.objective import Objective
from endcap.recommend.slates.rules import Pin, Rules
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
    brings, brought
        What the slate after, and the one before, is expected to bring; None where no chances were
        learnt.
    """

    user_id: str
    before: list[str]
    after: list[str]
    cost: float
    effects: tuple[Effect, ...]
    unset: tuple[str, ...]
    brings: Expected | None = None
    brought: Expected | None = None


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
    both = (Rules(), rules)
    bare, ruled = (place.model_copy(update={"rules": chosen}) for chosen in both)
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
    money = then.rules.objective or Objective()
    bare, ruled = (
        recommender.placed({**recommender.placements, placement: _telling(one, money)})
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


def outcome(compared: Sequence[Before]) -> tuple[Expected, Expected] | None:
    """Return what a slate before, and one after, is expected to bring on average; None untold."""
    told = [(one.brought, one.brings) for one in compared if one.brought and one.brings]
    if not told:
        return None
    before, after = (
        Expected(*np.mean([astuple(side) for side in sides], axis=0).tolist())
        for sides in zip(*told, strict=True)
    )
    return before, after


def _telling(place: Placement, money: Objective) -> Placement:
    """Return the place with an objective, one that only tells where it had none."""
    rules = place.rules
    if rules.objective is not None:
        return place
    return place.model_copy(
        update={"rules": rules.model_copy(update={"objective": money.resting()})}
    )


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
        tuple(p.item or " / ".join(p.items) for p in rules.pins if not _is_set(p, shown)),
        _told(after),
        _told(before),
    )


def _is_set(pin: Pin, shown: Sequence[str]) -> bool:
    return not {pin.item, *pin.items}.isdisjoint(shown)


def _told(slate: Slate) -> Expected | None:
    told = slate.expected
    return told if told is not None and np.isfinite(told.purchase) else None

"""What rules would do before they go live: slates of some users with and without them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from endcap.recommend.filters.world import World
from endcap.recommend.recommender import EPOCH, MICROSECOND, Recommender
from endcap.recommend.slate import Request
from endcap.recommend.slates.compose import Effect, compose
from endcap.recommend.slates.posing import Shelf, pose
from endcap.recommend.slates.rules import Rules
from endcap.recommend.state import History, State

DEPTH = 200
SHOWN, CLICKED = "impression", ("click", "cart", "purchase")


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
    placement: str = "home",
) -> list[Before]:
    """Compose the slate of each user under `rules`, and compare it with what is served now."""
    out = []
    for user in users:
        request = Request(user_id=user, k=max(k, DEPTH), placement=placement)
        slate = recommender.recommend([request], state)[0]
        if not slate.items:
            continue
        out.append(_compared(user, {i.item_id: i.score for i in slate.items}, state, rules, k))
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


def unclicked(history: History) -> dict[str, int]:
    """Return item id -> how often it was shown since its last click, cart or purchase."""
    counts: dict[str, int] = {}
    for item_id, kind in zip(history.item_ids, history.kinds, strict=True):
        if kind == SHOWN:
            counts[item_id] = counts.get(item_id, 0) + 1
        elif kind in CLICKED:
            counts[item_id] = 0
    return counts


def _compared(user: str, scores: dict[str, float], state: State, rules: Rules, k: int) -> Before:
    history = state.history(user)
    now = (state.now - EPOCH) // MICROSECOND
    columns = state.columns
    pinned = dict.fromkeys((pin.item for pin in rules.pins if pin.item not in scores), 0.0)
    allowed = set(state.available_ids(now)) if pinned else set()
    scores |= {item_id: 0.0 for item_id in pinned if item_id in allowed}
    ids = list(scores)
    facts = state.facts(ids)
    shelf = Shelf(
        ids,
        np.maximum(np.array([scores[i] for i in ids], np.float64), 0.0),
        [_text(facts.get(i, {})) for i in ids],
        unclicked(history),
    )
    posed = pose(rules, k, shelf, columns, World.of(columns, history, (), now))
    composed = compose(posed.problem)
    best = posed.problem.expected(
        np.argsort(-posed.problem.relevance, kind="stable")[: posed.problem.k]
    )
    return Before(
        user,
        ids[:k],
        [posed.item_ids[at] for at in composed.order],
        1 - composed.expected / best if best else 0.0,
        composed.effects,
        posed.unset,
    )


def _text(facts: dict[str, object]) -> str:
    parts = [facts.get("title"), facts.get("brand"), *(facts.get("categories") or ())]  # type: ignore[misc]
    return " ".join(str(part) for part in parts if part)

"""A placement's rules on a request: candidates enough to choose from, and the slate of the best."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from math import nan
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from endcap.models.chances import Chances
from endcap.recommend.expecting import UNTAUGHT, Worth, expected
from endcap.recommend.exploring import EXPLORED, Drawn, draw
from endcap.recommend.filters.columns import UNKNOWN_ROW, Columns
from endcap.recommend.filters.expression import Bools, Expression
from endcap.recommend.filters.world import World
from endcap.recommend.shelf import Pick, Shelf
from endcap.recommend.slate import Request
from endcap.recommend.slates.alike import likeness
from endcap.recommend.slates.compose import Composed, Effect, compose
from endcap.recommend.slates.posing import Posed, pose
from endcap.recommend.slates.posing import Shelf as Offer
from endcap.recommend.slates.problem import Bound, Problem
from endcap.recommend.slates.rules import Rules
from endcap.recommend.state import State

DEPTH: Final = 200
"""Candidates that rules choose from; four times k where that is more."""
WIDTH: Final = 4
NOT_ON_OFFER: Final = "is not on offer"
OBJECTIVE: Final = "objective"
Fill = Callable[[Shelf, Bools], None]
"""Puts on a shelf what is missing, of items that meet a condition."""


def depth(rules: Rules, k: int) -> int:
    """Return how many candidates are wanted for a slate of k."""
    return 0 if rules.idle or not k else max(DEPTH, WIDTH * k)


def apply_rules(  # noqa: PLR0917
    rules: Rules,
    shelf: Shelf,
    request: Request,
    state: State,
    world: World,
    chances: Chances | None = None,
    *,
    who: str | None,
    fill: Fill,
) -> tuple[list[Pick], tuple[Effect, ...], float]:
    """Compose the slate of a request from what is on the shelf, best position first.

    Where the candidates hold fewer items than a quota asks for, more of them are fetched first; a
    pinned item comes in unless the shopper may not be shown it.

    Parameters
    ----------
    chances
        What scores say of outcomes, for an objective; None where that was not learnt.

    Returns
    -------
    picks, effects, cost
        At most k; what each rule did; the share of relevance that all cost, NaN unless asked for.
    """
    columns, rules = state.columns, rules.at(world.now)
    _supply(rules, shelf, columns, world, fill)
    _pin(rules, shelf, columns, fill)
    if not shelf.picks:
        return [], (), nan
    valued = forecast(rules, shelf.picks, chances, columns)
    offer = _offer(rules, shelf.picks, state, who, world.now, _steering(rules, valued))
    wishes = rules.model_copy(update={"exclude": ""})  # what is excluded was never fetched
    with columns.lock:
        posed = pose(wishes, shelf.k, offer, columns, world)
    composed = compose(posed.problem, prices=request.prices)
    effects = [*composed.effects, *_lacking(rules, posed, shelf.k)]
    if valued is not None and rules.objective is not None and rules.objective.steers:
        plain = replace(offer, scores=worth(shelf.picks))
        with columns.lock:
            other = pose(wishes, shelf.k, plain, columns, world) if request.prices else None
        effects.append(_of_objective(composed, valued, posed, other))
    cost = nan
    if request.prices:
        best = posed.problem.expected(
            np.argsort(-posed.problem.relevance, kind="stable")[: posed.problem.k]
        )
        cost = 1 - composed.expected / best if best else 0.0
    by_id = {pick.item_id: pick for pick in told(shelf.picks, valued)}
    picks = [by_id[posed.item_ids[at]] for at in composed.order]
    if rules.explore is not None:
        drawn = draw(rules.explore, posed.problem, composed.order, _named(request, who, world))
        picks = [by_id[posed.item_ids[at]] for at in drawn.order]
        if drawn.at >= 0:
            marks: dict[str, Any] = {"explored": drawn.explored, "propensity": drawn.propensity}
            picks[drawn.at] = msgspec.structs.replace(picks[drawn.at], **marks)
        effects.append(_of_exploration(posed.problem, composed, drawn, request))
    return picks, tuple(effects), cost


def forecast(
    rules: Rules, picks: Sequence[Pick], chances: Chances | None, columns: Columns
) -> Worth | None:
    """Return what picks are expected to bring; None without an objective."""
    if rules.objective is None:
        return None
    return expected(picks, rules.objective, chances, columns, worth)


def told(picks: Sequence[Pick], valued: Worth | None) -> list[Pick]:
    """Return the picks with what each is expected to bring."""
    if valued is None or valued.trouble == UNTAUGHT:
        return list(picks)
    return [msgspec.structs.replace(pick, expected=valued.of(at)) for at, pick in enumerate(picks)]


def warm() -> None:
    """Compile, or load, what composes slates: no request under rules must wait for it."""
    alike = likeness(["a red lamp", "a blue lamp"])
    bound = Bound("any", np.zeros(2, np.int32), hi=1)
    compose(Problem(1, np.array([1.0, 0.5]), alike, bounds=(bound,), diversity=0.1), prices=False)


def worth(picks: Sequence[Pick]) -> npt.NDArray[np.float64]:
    """Return float64 (n,): what each pick is worth beside the best, falling from level to level.

    Scores of two levels cannot be compared, but the first level knows better: the best of the
    next is worth what the least of this one is. What no model speaks for is worth nothing.
    """
    out, top = np.zeros(len(picks)), 1.0
    at = 0
    for told, group in groupby(picks, key=lambda pick: pick.told):
        scores = np.array([pick.score for pick in group])
        if told is not None and scores.max() > 0:
            out[at : at + len(scores)] = np.maximum(scores, 0) / scores.max() * top
            top = float(out[at : at + len(scores)].min())
        at += len(scores)
    return out


def _supply(rules: Rules, shelf: Shelf, columns: Columns, world: World, fill: Fill) -> None:
    """Fetch more of what a lower quota asks for, where there is too little to choose from."""
    limits = [(quota, quota.limits(shelf.k)[0]) for quota in rules.quotas]
    lower = [(quota, wanted) for quota, wanted in limits if quota.where and wanted]
    rows = columns.rows(pick.item_id for pick in shelf.picks) if lower else None
    for quota, wanted in lower:
        with columns.lock:
            mask = Expression.filter(quota.where).mask(columns, world)
        here = int(mask[rows].sum())
        if here < wanted:
            _add(shelf, wanted - here, mask, fill)


def _pin(rules: Rules, shelf: Shelf, columns: Columns, fill: Fill) -> None:
    """Fetch the pinned items that are not there, of those in the catalogue."""
    here = {pick.item_id for pick in shelf.picks}
    away = [p.item for p in rules.pins if p.item not in here and p.position <= shelf.k]
    if away:
        with columns.lock:
            mask = np.zeros(len(columns), bool)
            mask[columns.rows(away)] = True
        mask[UNKNOWN_ROW] = False
        _add(shelf, len(away), mask, fill)


def _add(shelf: Shelf, n: int, mask: Bools, fill: Fill) -> None:
    more = Shelf(n, shelf.taken)
    fill(more, mask)
    shelf.picks += more.picks


def _steering(rules: Rules, valued: Worth | None) -> npt.NDArray[np.float64] | None:
    """Return float64 (n,): the values by which a slate is ordered; None where relevance does."""
    objective = rules.objective
    if valued is None or objective is None or not objective.steers or valued.trouble:
        return None
    return np.maximum(valued.values, 0)


def _of_objective(composed: Composed, valued: Worth, posed: Posed, other: Posed | None) -> Effect:
    """Return what an objective did: its price is the share of the models' relevance it costs."""
    if other is None:
        return Effect(OBJECTIVE, not valued.trouble, valued.trouble)
    plain = replace(posed.problem, relevance=other.problem.relevance)
    without = compose(plain, prices=False)
    best, here = without.expected, plain.expected(composed.order)
    moved = len(set(composed.order.tolist()) - set(without.order.tolist()))
    price = (best - here) / best if best > 0 else 0.0
    return Effect(OBJECTIVE, not valued.trouble, valued.trouble, moved, price)


def _of_exploration(problem: Problem, composed: Composed, drawn: Drawn, request: Request) -> Effect:
    here, best = problem.expected(drawn.order), composed.expected
    price = nan if not request.prices else (best - here) / best if best > 0 else 0.0
    return Effect(EXPLORED, drawn.at >= 0, "", int(drawn.explored), price)


def _named(request: Request, who: str | None, world: World) -> str:
    """Return what decides the draw of exploration: the same at any worker, and in a replay."""
    return f"{request.seed}|{who}|{request.placement}|{request.context_items}|{world.now}"


def _lacking(rules: Rules, posed: Posed, k: int) -> list[Effect]:
    return [
        Effect(f"pin at {pin.position}", met=False, relaxed=f"{pin.item!r} {NOT_ON_OFFER}")
        for pin in rules.pins
        if pin.item in posed.unset and pin.position <= k
    ]


def _offer(  # noqa: PLR0917
    rules: Rules,
    picks: Sequence[Pick],
    state: State,
    who: str | None,
    now: int,
    values: npt.NDArray[np.float64] | None,
) -> Offer:
    ids = [pick.item_id for pick in picks]
    return Offer(
        ids,
        worth(picks) if values is None else values,
        _about(ids, state) if rules.diversity else (),
        state.shown_to(who, rules.fatigue.since(now))
        if who and rules.fatigue.half_after is not None
        else {},
        state.exposure if rules.reach else {},
    )


def _about(ids: Sequence[str], state: State) -> list[Mapping[str, Any]]:
    """Return what is known of each item, for variety."""
    facts = state.facts(ids)
    return [facts.get(item_id, {}) for item_id in ids]

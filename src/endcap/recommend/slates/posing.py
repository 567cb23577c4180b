"""From rules and a catalogue to a problem in arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap.features.catalogue import paths
from endcap.features.labels import labels
from endcap.recommend.filters.columns import Columns, Rows, TextColumn
from endcap.recommend.filters.expression import Expression
from endcap.recommend.filters.kinds import split
from endcap.recommend.filters.world import World
from endcap.recommend.slates.alike import likeness, shared, words
from endcap.recommend.slates.problem import Bound, Floats, Problem
from endcap.recommend.slates.rules import Quota, Rules
from endcap.schema.errors import RequestError

TASTE = ("user.bought", "user.viewed")
"""What says which mix a shopper likes."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """What may go into a slate.

    Attributes
    ----------
    item_ids, scores
        Of n candidates; scores above 0, the best first.
    about
        What each candidate is, for likeness: see `recommend.facts`.
    shown
        Item id -> how often the shopper was shown it without a click; missing ones never.
    exposure
        Item id -> how often anybody was shown it, for `reach`.
    """

    item_ids: Sequence[str]
    scores: Floats
    about: Sequence[Mapping[str, Any]] = ()
    shown: Mapping[str, int] = field(default_factory=dict)
    exposure: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Posed:
    """A problem, the candidates it is about, and pins that cannot be set."""

    problem: Problem
    item_ids: list[str]
    unset: tuple[str, ...] = ()


def pose(rules: Rules, k: int, shelf: Shelf, columns: Columns, world: World) -> Posed:
    """Put rules into arrays.

    A condition that names an attribute no item has is met by none; `Rules.check` refuses it.

    Raises
    ------
    RequestError
        When there is nothing to compose from.
    """
    rows = columns.rows(shelf.item_ids)
    shown = np.array([shelf.shown.get(i, 0) for i in shelf.item_ids])
    keep = _allowed(rules, rows, shown, columns, world)
    if not keep.any():
        raise RequestError("Nothing is left to compose a slate from.", hint="Loosen exclude.")
    ids = [item_id for item_id, stays in zip(shelf.item_ids, keep, strict=True) if stays]
    rows, shown = rows[keep], shown[keep]
    k = min(k, len(ids))
    place = {item_id: at for at, item_id in enumerate(ids)}
    pins = {
        p.position - 1: place[p.item] for p in rules.pins if p.item in place and p.position <= k
    }
    about = [told for told, stays in zip(shelf.about, keep, strict=bool(shelf.about)) if stays]
    mix, groups = (
        _balance(rows, columns, world) if rules.calibration else (np.zeros(0), np.zeros((0, 0)))
    )
    exposure = np.array([shelf.exposure.get(item_id, 0) for item_id in ids])
    problem = Problem(
        k,
        _relevance(rules, shelf.scores[keep], shown),
        _likeness(rules, about),
        pins,
        tuple(_bound(quota, k, rows, columns, world) for quota in rules.quotas),
        rules.diversity,
        rules.method,
        rules.window,
        rules.calibration,
        mix,
        groups,
        rules.reach / (1 + exposure) if rules.reach else np.zeros(0),
    )
    unset = tuple(p.item for p in rules.pins if p.item not in place or p.position > k)
    return Posed(problem, ids, unset)


def _likeness(rules: Rules, about: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float32]:
    if not rules.diversity or not about:
        return np.zeros((0, 0), np.float32)
    if rules.likeness == "attributes":
        return shared([labels(told) for told in about])
    return likeness([words(told) for told in about])


def _allowed(
    rules: Rules, rows: Rows, shown: npt.NDArray[np.int64], columns: Columns, world: World
) -> npt.NDArray[np.bool_]:
    keep = np.ones(len(rows), bool)
    if rules.exclude:
        keep &= ~_mask(rules.exclude, columns, world)[rows]
    if rules.fatigue.cap is not None:
        keep &= shown < rules.fatigue.cap
    return keep


def _mask(text: str, columns: Columns, world: World) -> npt.NDArray[np.bool_]:
    return Expression.filter(text).mask(columns, world)


def _relevance(rules: Rules, scores: Floats, shown: npt.NDArray[np.int64]) -> Floats:
    worth: Floats = np.clip(scores / max(scores.max(), 1e-12), 0, 1) ** rules.sharpness
    if rules.fatigue.half_after is not None:
        worth = worth * np.exp2(-shown / rules.fatigue.half_after)
    return worth


def _bound(quota: Quota, k: int, rows: Rows, columns: Columns, world: World) -> Bound:
    lo, hi, first = quota.limits(k)
    if quota.where:
        codes = np.where(_mask(quota.where, columns, world)[rows], 0, -1)
    else:
        with columns.lock:
            column = columns.columns.get(split(quota.by)[1])  # none has an attribute that left
            held = column.codes[rows] if isinstance(column, TextColumn) else np.zeros_like(rows)
        codes = np.where(held > 0, np.unique(held, return_inverse=True)[1], -1)
    return Bound(quota.said(), codes.astype(np.int32), lo, hi, first)


def _balance(rows: Rows, columns: Columns, world: World) -> tuple[Floats, Floats]:
    """Return the shopper's mix of departments (g,), and each candidate's (n, g)."""
    with columns.lock:
        column = columns.columns["categories"]
        assert isinstance(column, TextColumn)
        past = np.concatenate([world.scopes.get(scope, rows[:0]) for scope in TASTE])
        met, offered = (
            [{paths(path)[0] for path in column.texts[code]} for code in column.codes[some]]
            for some in (past, rows)
        )
    names = sorted(set().union(*met))
    taste, groups = _shares(met, names), _shares(offered, names)
    known = taste[taste.sum(axis=1) > 0]
    return (known.mean(axis=0), groups) if len(known) else (np.zeros(0), np.zeros((0, 0)))


def _shares(sets: Sequence[set[str]], names: Sequence[str]) -> Floats:
    place = {name: at for at, name in enumerate(names)}
    out = np.zeros((len(sets), len(names)))
    for row, departments in zip(out, sets, strict=True):
        for department in departments:
            if department in place:
                row[place[department]] = 1 / len(departments)
    return out

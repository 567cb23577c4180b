"""Filters and boosts: an expression, and what it says of every item of a catalogue."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from endcap.features.catalogue import STEP, whole
from endcap.recommend.filters.columns import Columns, NumberColumn, TextColumn
from endcap.recommend.filters.errors import FilterError, TooExpensiveError
from endcap.recommend.filters.kinds import HERE, Kind, kind_of, split
from endcap.recommend.filters.nodes import (
    Call,
    Infix,
    Listing,
    Name,
    Node,
    Number,
    Prefix,
    Text,
    Truth,
)
from endcap.recommend.filters.parser import parse
from endcap.recommend.filters.world import World

DAY_US: Final = 86_400_000_000
MAX_BOOST: Final = 1000.0
MAX_CELLS: Final = 25_000_000
"""Parts of an expression times items: about 50 ms, and less than 100 ms of distances."""
WORK: Final = {"distance": 16}
"""Parts that a function counts as, where it takes longer than others: a distance 70 ns an item."""
EARTH_KM: Final = 6371.0088
"""Mean radius of the earth (IUGG)."""
KEPT_TEXTS: Final = 1024
KEPT_MASKS: Final = 64

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Value = Floats | Bools | float | bool | frozenset[str] | tuple[float, ...] | TextColumn


@dataclass(frozen=True, slots=True)
class Expression:
    """A filter (a condition) or a boost (a number), understood.

    Stability: caller.
    """

    text: str
    node: Node
    parts: int = 0
    of_items: bool = False
    """Whether it asks about nothing but the items: neither shopper, nor page, nor moment."""

    @classmethod
    def filter(cls, text: str) -> "Expression":
        """Understand a condition.

        Raises
        ------
        FilterError
            Pointing at the character that is wrong.
        """
        return cls._of(text, Kind.TRUTH)

    @classmethod
    def boost(cls, text: str) -> "Expression":
        """Understand a factor for scores."""
        return cls._of(text, Kind.NUMBER)

    @classmethod
    @lru_cache(maxsize=KEPT_TEXTS)
    def _of(cls, text: str, wanted: Kind) -> "Expression":
        node = parse(text)
        kind = kind_of(node, text)
        if kind not in {wanted, Kind.ANY}:
            raise FilterError(f"This is {kind}; {wanted} is needed", text, node.at)
        return cls(text, node, sum(map(_work, _walk(node))), _is_of_items(node))

    def check(self, columns: Columns) -> None:
        """Refuse attributes that no item of the catalogue has.

        Raises
        ------
        FilterError
            Naming the nearest attribute.
        """
        if self.text not in columns.checked:  # attributes come, and stay
            kind_of(self.node, self.text, columns.kinds)
            if len(columns.checked) >= KEPT_TEXTS:
                columns.checked.clear()
            columns.checked.add(self.text)

    def mask(self, columns: Columns, world: World) -> Bools:
        """Return bool (rows of the catalogue,): for which items the condition holds.

        Where neither shopper, page nor moment matter it is the same array until the catalogue
        changes: nearly all requests of a shop ask one of a few filters.
        """
        if not self.of_items:
            return np.broadcast_to(_truth(self._evaluate(columns, world)), len(columns))
        with columns.lock:
            kept = columns.masks.get(self.text)
            if kept is None:
                kept = np.broadcast_to(_truth(self._evaluate(columns, world)), len(columns))
                if len(columns.masks) >= KEPT_MASKS:
                    columns.masks.clear()
                columns.masks[self.text] = kept
            return kept

    def factor(self, columns: Columns, world: World) -> Floats:
        """Return float64 (rows,) in 0 to `MAX_BOOST`: 1 where the boost is unknown."""
        value = _number(self._evaluate(columns, world))
        bounded = np.clip(np.nan_to_num(value, nan=1.0), 0.0, MAX_BOOST)
        return np.broadcast_to(bounded, len(columns))

    def _evaluate(self, columns: Columns, world: World) -> Value:
        if self.parts * len(columns) > MAX_CELLS:
            raise TooExpensiveError(
                f"{self.parts} parts for {len(columns):,} items are more than {MAX_CELLS:,}",
                self.text,
                0,
            )
        with columns.lock, np.errstate(all="ignore"):
            return _Evaluation(columns, world).of(self.node)


def understood(filter_text: str, boost_text: str) -> tuple[Expression | None, Expression | None]:
    """Understand a filter and a boost; an empty text is none.

    Raises
    ------
    FilterError
        Pointing at the character that is wrong.
    """
    return (
        Expression.filter(filter_text) if filter_text else None,
        Expression.boost(boost_text) if boost_text else None,
    )


class _Evaluation:
    """One pass over a tree; unknown numbers are NaN, unknown texts belong to no set."""

    def __init__(self, columns: Columns, world: World) -> None:
        self._columns, self._world = columns, world

    def of(self, node: Node) -> Value:  # noqa: PLR0911
        match node:
            case Number(value) | Truth(value):
                return value
            case Text(value):
                return frozenset((value,))
            case Listing(values):
                texts = frozenset(value for value in values if isinstance(value, str))
                return texts or tuple(value for value in values if isinstance(value, float))
            case Name(path):
                return self._name(path)
            case Call():
                return self._call(node)
            case Prefix("not", of):
                return np.logical_not(_truth(self.of(of)))
            case Prefix(_, of):
                return np.negative(_number(self.of(of)))
            case Infix(operator, left, right):
                return _infix(operator, self.of(left), self.of(right))

    def _name(self, path: str) -> Value:
        if path in HERE:
            return self._world.here.get(path, float("nan"))
        scope, name = split(path)
        column = self._columns.columns.get(name)
        if column is None:
            return frozenset()
        if not scope:
            return column.values if isinstance(column, NumberColumn) else column
        rows = self._world.scopes.get(scope, np.empty(0, np.int32))
        if isinstance(column, TextColumn):
            return column.held_by(rows)
        known = column.values[rows]
        known = known[~np.isnan(known)]
        return float(known.mean()) if len(known) else float("nan")

    def _call(self, node: Call) -> Value:
        value = self.of(node.arguments[0])
        if node.function == "days_since":
            return (self._world.now - _number(value)) / DAY_US
        if node.function == "distance":
            return _distance(*(_number(self.of(argument)) for argument in node.arguments))
        if node.function == "contains":
            return _contains(value, self.of(node.arguments[1]))
        if isinstance(value, TextColumn):
            return value.codes > 0
        return bool(value) if isinstance(value, frozenset) else ~np.isnan(_number(value))


def _infix(operator: str, left: Value, right: Value) -> Value:
    match operator:
        case "and":
            return np.logical_and(_truth(left), _truth(right))
        case "or":
            return np.logical_or(_truth(left), _truth(right))
        case "==" | "in":
            return _meets(left, right)
        case "!=" | "not in":
            return np.logical_not(_meets(left, right))
        case "/":
            below = _number(right)
            return np.divide(_number(left), np.where(below == 0, np.nan, below))
    compute = _UFUNCS[operator]
    result: Value = compute(_number(left), _number(right))
    return result


_UFUNCS: Final = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def _meets(left: Value, right: Value) -> Bools | bool:
    """Whether two sets of texts have one in common, or a number equals another or one of a list."""
    if isinstance(right, TextColumn):
        left, right = right, left
    if isinstance(left, TextColumn):
        texts = right if isinstance(right, frozenset) else frozenset()
        return left.where(code for text in texts for code in left.holders.get(text, ()))
    if isinstance(left, frozenset):
        return isinstance(right, frozenset) and not left.isdisjoint(right)
    if isinstance(right, tuple):
        return np.isin(_number(left), right)
    return np.equal(_number(left), _number(right))


def _contains(categories: Value, wanted: Value) -> Bools | bool:
    assert isinstance(wanted, frozenset)
    names = {whole(path) for path in wanted}
    if isinstance(categories, TextColumn):
        return categories.where(code for name in names for code in categories.below.get(name, ()))
    assert isinstance(categories, frozenset)
    lengths = {len(name) for name in names}  # few, as a text is short: a path has many parts
    given = (whole(path) + STEP for path in categories)
    begun = {name + STEP for name in names}
    return any(path[: n + len(STEP)] in begun for path in given for n in lengths)


def _distance(lat: Floats, lon: Floats, other_lat: Floats, other_lon: Floats) -> Floats:
    """Return kilometres along the great circle, by the haversine formula; degrees are given.

    Unknown where a latitude is, or lies beyond a pole.
    """
    north, south = np.radians(lat), np.radians(other_lat)
    across = np.radians(np.subtract(other_lon, lon))
    chord = np.sin((south - north) / 2) ** 2
    chord = chord + np.cos(north) * np.cos(south) * np.sin(across / 2) ** 2
    known = (np.abs(lat) <= 90) & (np.abs(other_lat) <= 90)
    arc = 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(chord, 0.0, 1.0)))
    return np.asarray(np.where(known, arc, np.nan), np.float64)


def _truth(value: Value) -> Bools:
    """An unknown condition is false."""
    if isinstance(value, frozenset | tuple | TextColumn):
        return np.zeros((), bool)
    holds: Bools = np.asarray(value) == 1
    return holds


def _number(value: Value) -> Floats:
    if isinstance(value, frozenset | tuple | TextColumn):
        return np.full((), np.nan)
    return np.asarray(value, np.float64)


def _is_of_items(node: Node) -> bool:
    return not any(
        (isinstance(part, Name) and split(part.path)[0])
        or (isinstance(part, Call) and part.function == "days_since")
        for part in _walk(node)
    )


def _work(node: Node) -> int:
    return WORK.get(node.function, 1) if isinstance(node, Call) else 1


def _walk(node: Node) -> list[Node]:
    match node:
        case Prefix(_, of):
            return [node, *_walk(of)]
        case Infix(_, left, right):
            return [node, *_walk(left), *_walk(right)]
        case Call(_, arguments):
            return [node, *(part for argument in arguments for part in _walk(argument))]
    return [node]

"""What the expressions of a placement and of a request say of each item, for one answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.filters.columns import UNKNOWN_ROW, Columns
from endcap.recommend.filters.expression import Bools, Expression, Floats, understood
from endcap.recommend.filters.world import World
from endcap.recommend.recipe import Level, Placement
from endcap.recommend.slate import Request
from endcap.recommend.state import History, State

Rows = npt.NDArray[np.int32]
AT_ONCE: Final = 256
"""Items of the catalogue that are looked at together, where only the first few are wanted."""


@dataclass(frozen=True, slots=True)
class Screen:
    """A mask and a factor over the catalogue; None where nothing is asked for.

    Attributes
    ----------
    columns
        The catalogue that they are about; None where neither is asked for.
    mask
        bool (rows of the catalogue,): what may be shown.
    factor
        float64 (rows of the catalogue,): times what a score counts.
    """

    columns: Columns | None = None
    mask: Bools | None = None
    factor: Floats | None = None

    @classmethod
    def of(  # noqa: PLR0917
        cls,
        placement: Placement,
        request: Request,
        state: State,
        history: History,
        now: int,
        here: Mapping[str, float],
    ) -> Self:
        """Ask the catalogue of this moment.

        Raises
        ------
        FilterError
            When the request names an attribute that no item has; one that a placement names is
            unknown of every item.
        """
        asked = [understood(place.filter, place.boost) for place in (placement, request)]
        filters, boosts = (
            [one for one in column if one is not None] for column in zip(*asked, strict=True)
        )
        banned = Expression.filter(placement.rules.exclude) if placement.rules.exclude else None
        if not filters and not boosts and banned is None:
            return cls()
        columns = state.columns
        _check(asked[1], columns)
        world = World(now=now)
        if not all(one.of_items for one in (*filters, *boosts, *((banned,) if banned else ()))):
            world = World.of(columns, history, request.context_items, now, here)
        with columns.lock:
            masks = [one.mask(columns, world) for one in filters]
            if banned is not None:
                masks.append(~banned.mask(columns, world))
            factors = [one.factor(columns, world) for one in boosts]
        return cls(
            columns,
            masks[0] if len(masks) == 1 else np.logical_and.reduce(masks) if masks else None,
            np.prod(factors, axis=0) if factors else None,
        )

    def of_level(self, level: Level, columns: Columns, world: World) -> Self:
        """Return the screen with the condition and the factor of a level as well."""
        condition, boost = understood(level.filter, level.boost)
        with columns.lock:
            out = (
                self
                if condition is None
                else self.narrowed(columns, condition.mask(columns, world))
            )
            if boost is None:
                return out
            factor = boost.factor(columns, world)
        if out.factor is not None:
            factor = factor * _stretched(out.factor, len(factor), 1.0)
        mask = None if out.mask is None else _stretched(out.mask, len(factor), False)
        return type(self)(columns, mask, factor)

    def weighing(self, columns: Columns, some: Bools | None, factor: float) -> Self:
        """Return the screen under which the scores of some items count `factor` times."""
        if some is None:
            return self
        factors = np.where(some, factor, 1.0)
        if self.factor is not None:
            factors = factors * _stretched(self.factor, len(factors), 1.0)
        mask = None if self.mask is None else _stretched(self.mask, len(factors), False)
        return type(self)(columns, mask, factors)

    def narrowed(self, columns: Columns, mask: Bools) -> Self:
        """Return the screen that lets through only what `mask` does as well."""
        if self.mask is not None:
            mask = mask & _stretched(self.mask, len(mask), False)
        return type(self)(columns, mask, self.factor)

    def rows(self, words: Vocabulary, available: Rows) -> Rows:
        """Return those of `available`, rows of `words`, that may be shown."""
        if self.columns is None or self.mask is None:
            return available
        return self.columns.shown(words, available, self.mask)

    def boosts(self, words: Vocabulary) -> npt.NDArray[np.float32] | None:
        """Return float32 (len(words),): times what the score of each word counts."""
        if self.columns is None or self.factor is None:
            return None
        return self.factor[self.columns.view(words)].astype(np.float32)

    def boosts_of(self, item_ids: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return float64 (n,): times what the score of each of some items counts."""
        if self.columns is None or self.factor is None:
            return np.ones(len(item_ids))
        rows = self.columns.rows(item_ids)
        return self.factor[np.where(rows < len(self.factor), rows, UNKNOWN_ROW)]

    def ids(self, item_ids: Sequence[str]) -> Sequence[str]:
        """Return those that may be shown, in their order."""
        if self.columns is None or self.mask is None:
            return item_ids
        kept = self.mask[self.columns.rows(item_ids)]
        return [item_id for item_id, keep in zip(item_ids, kept, strict=True) if keep]

    def each(self, item_ids: Sequence[str]) -> Iterator[str]:
        """Yield those that may be shown, in their order; no more are looked at than are taken."""
        for start in range(0, len(item_ids), AT_ONCE):
            yield from self.ids(item_ids[start : start + AT_ONCE])


def _stretched(values: Any, n: int, unknown: Any) -> Any:
    """Return n values: the catalogue may have grown since they were asked."""
    if len(values) >= n:
        return values[:n]
    return np.concatenate((values, np.full(n - len(values), unknown)))


def _check(expressions: tuple[Expression | None, Expression | None], columns: Columns) -> None:
    for expression in expressions:
        if expression is not None:
            expression.check(columns)

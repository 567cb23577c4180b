"""What the models are asked with: one shopper's events, in row numbers, weighed as in training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from endcap.models.queries import Queries
from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.recipe import EvidenceName, Hide
from endcap.recommend.state import CARTING, PURCHASE, History
from endcap.recommend.weighing import Weighing

MINUTE_US: Final = 60_000_000
DAY_US: Final = 86_400_000_000
StandIn = Callable[[Sequence[str]], tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]]
"""Given ids that the models do not know, returns the row of a known item for each, -1 for none, and
how much it is like it, in (0, 1)."""
LOOKED_AT: Final = "view"
"""What a context item counts as: the shopper has it before their eyes."""


def seen(history: History, hide: Hide, now: int) -> set[str]:
    """Return the item ids that `hide` hides at `now` (UTC microseconds)."""
    since = -np.inf if hide.days is None else now - hide.days * DAY_US
    events = zip(history.item_ids, history.kinds, history.times.tolist(), strict=True)
    return {item_id for item_id, kind, time in events if kind in hide.kinds and time >= since}


@dataclass(frozen=True, slots=True)
class Moment:
    """One shopper at the moment of asking; every column has one entry for each event.

    Attributes
    ----------
    history
        Their events, and behind them the context items as views of this moment.
    rows
        int32: item rows, -1 where the models do not know the item and nothing stands for it.
    likeness
        float32: how much the item of the row is like the one of the event: 1 where it is that.
    n_context
        How many entries at the end are context.
    now
        UTC microseconds.
    user
        Row in the users' vocabulary, -1 for a stranger.
    """

    history: History
    rows: npt.NDArray[np.int32]
    likeness: npt.NDArray[np.float32]
    n_context: int
    now: int
    user: int = -1

    @classmethod
    def of(
        cls, history: History, context: Sequence[str], now: int, words: Vocabulary, user: int = -1
    ) -> "Moment":
        """Put events and context together; external ids become rows here, once."""
        joined = History(
            [*history.item_ids, *context],
            [*history.kinds, *[LOOKED_AT] * len(context)],
            np.concatenate((history.times, np.full(len(context), now, np.int64))),
            np.concatenate((history.values, np.full(len(context), np.nan, np.float32))),
        )
        rows = words.places(joined.item_ids)
        return cls(joined, rows, np.ones(len(rows), np.float32), len(context), now, user)

    def standing_in(self, stand_in: StandIn) -> "Moment":
        """Return it with known items in the place of those that the models do not know."""
        unknown = np.flatnonzero(self.rows < 0)
        rows, likeness = self.rows.copy(), self.likeness.copy()
        rows[unknown], likeness[unknown] = stand_in(
            [self.history.item_ids[e] for e in unknown.tolist()]
        )
        return replace(self, rows=rows, likeness=likeness)

    @property
    def also(self) -> Mapping[int, Sequence[str]]:
        """Row of an item -> ids of this moment that the models do not know and it stands for."""
        out: dict[int, list[str]] = {}
        for event in np.flatnonzero((self.rows >= 0) & (self.likeness < 1)).tolist():
            out.setdefault(int(self.rows[event]), []).append(self.history.item_ids[event])
        return {row: list(dict.fromkeys(ids)) for row, ids in out.items()}

    def evidence(self, name: EvidenceName, session_minutes: float, weigh: Weighing) -> "Evidence":
        """Return what a level asks its models with: only items they know, only what speaks for."""
        chosen = self._spoken(name, session_minutes)
        kinds = [self.history.kinds[e] for e in chosen]
        times, values = self.history.times[chosen], self.history.values[chosen]
        weights = weigh(kinds, times, self._latest) * self.likeness[chosen]
        kept = (self.rows[chosen] >= 0) & (weights > 0)
        chosen = chosen[kept]
        spoken = [kind for kind, keep in zip(kinds, kept, strict=True) if keep]
        query = Queries.of_one(
            self.rows[chosen],
            weights=weights[kept],
            values=values[kept],
            times=times[kept],
            user=self.user if name == "history" else -1,
            now=self.now,
            kinds=spoken,
        )
        return Evidence(
            query,
            [self.history.item_ids[e] for e in chosen],
            spoken,
            chosen >= len(self.rows) - self.n_context,
        )

    @property
    def _latest(self) -> int:
        events = self.history.times[: len(self.rows) - self.n_context]
        return int(events.max(initial=0))

    def _spoken(self, name: EvidenceName, session_minutes: float) -> npt.NDArray[np.int64]:
        n = len(self.rows)
        if name == "history":
            return np.arange(n)
        if name == "context":
            return np.arange(n - self.n_context, n)
        if name == "none":
            return np.arange(0)
        if name in {"cart", "order"}:
            own = self._cart() if name == "cart" else self._order(session_minutes)
            return np.concatenate((own, np.arange(n - self.n_context, n)))
        gaps = np.diff(self.history.times, append=self.now) > session_minutes * MINUTE_US
        breaks = np.flatnonzero(gaps[: n - self.n_context])
        return np.arange(int(breaks[-1]) + 1 if len(breaks) else 0, n)

    def _cart(self) -> npt.NDArray[np.int64]:
        """Return the events that put in the cart what is in it now."""
        last: dict[str, int] = {}
        for at in range(len(self.rows) - self.n_context):
            if self.history.kinds[at] in CARTING:
                last[self.history.item_ids[at]] = at
        return np.array(sorted(a for a in last.values() if self.history.kinds[a] == "cart"), int)

    def _order(self, session_minutes: float) -> npt.NDArray[np.int64]:
        """Return the purchases of the last order: those that no longer pause parts."""
        told = self.history.kinds[: len(self.rows) - self.n_context]
        bought = np.array([at for at, kind in enumerate(told) if kind == PURCHASE], int)
        apart = np.diff(self.history.times[bought]) > session_minutes * MINUTE_US
        breaks = np.flatnonzero(apart)
        return bought[int(breaks[-1]) + 1 if len(breaks) else 0 :]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A query for the models, with the external words for each of its events.

    Attributes
    ----------
    query
        Exactly one query.
    item_ids, kinds
        Of each history entry of the query.
    is_context
        bool (h,): whether the entry is a context item.
    """

    query: Queries
    item_ids: list[str]
    kinds: list[str]
    is_context: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.item_ids)

    def groups(self, owners: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return int64 (h,): which of `owners`, item ids, each event is about."""
        place = {item_id: at for at, item_id in enumerate(owners)}
        return np.array([place[item_id] for item_id in self.item_ids], dtype=np.int64)

    def within(
        self, allowed: npt.NDArray[np.int32] | None, excluded: npt.NDArray[np.int32]
    ) -> Queries:
        """Return the query under a filter: only `allowed` rows (None: all), none `excluded`."""
        return replace(
            self.query,
            allowed=allowed,
            exclude=excluded,
            exclude_indptr=np.array([0, len(excluded)], np.int64),
        )

"""The world as it was when a slate was made, put together again from the store."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from endcap.events.store import Store
from endcap.models.live import Live as LiveSpec
from endcap.models.live import LiveCounts
from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.availability import Availability
from endcap.recommend.facts import Facts
from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.spot import Spot
from endcap.recommend.newcomers import unknown_to
from endcap.recommend.replaying.records import Live as LiveRecord
from endcap.recommend.replaying.records import Past, Record, fingerprint
from endcap.recommend.state import EPOCH, History
from endcap.schema.kinds import IMPRESSION

LATE: Final = 4
"""Events received at the same moment: so many of the last ones may have been seen or not."""


class PastState:
    """A `State` of one past moment, for the request that was asked then.

    Attributes
    ----------
    gone
        What is no longer there, in words; filled as it is asked for.
    """

    def __init__(self, store: Store, record: Record) -> None:
        self._store = store
        self._record = record
        self.gone: list[str] = []
        self.version = 0
        self.now = EPOCH + timedelta(microseconds=record.now)
        self.live: LiveCounts | None = Retold(record.live) if record.live else None
        self.exposure: Mapping[str, int] = record.exposure

    def history(self, actor: str) -> History:
        """Return the very events that were seen, as far as the log still has them."""
        past = self._record.histories.get(actor)
        if past is None:
            self.gone.append(f"nothing was kept of the history of {actor}")
            return History.of([])
        return next(self._histories(past), None) or self._lost(actor, past)

    def shown_to(self, actor: str, since: int = 0) -> Mapping[str, int]:
        """Return what was counted then."""
        return self._record.shown.get(actor, {})

    def whereabouts(self, actor: str) -> Spot:
        """Return where they were then."""
        return Spot(*self._record.where.get(actor, ()))

    def available_rows(self, words: Vocabulary, now: int) -> npt.NDArray[np.int32]:
        """See `State.available_rows`."""
        return self._shelf.rows(words, now)

    def on_shelf(self, item_ids: Sequence[str], now: int) -> Sequence[str]:
        """See `State.on_shelf`."""
        return self._shelf.among(item_ids, now)

    def newcomers(self, words: Vocabulary) -> pa.Table:
        """See `State.newcomers`."""
        return unknown_to(words, self._items)

    def available_ids(self, now: int) -> Sequence[str]:
        """See `State.available_ids`."""
        return self._shelf.ids(now)

    def facts(self, item_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        """See `State.facts`."""
        return self._facts.of(item_ids)

    @cached_property
    def columns(self) -> Columns:
        """See `State.columns`."""
        return Columns(self._items)

    @cached_property
    def _items(self) -> pa.Table:
        return self._store.catalogue.items_at(self._record.position)

    @cached_property
    def _facts(self) -> Facts:
        return Facts(self._items)

    @cached_property
    def _shelf(self) -> Availability:
        return Availability(self._items if self._items.num_rows else None)

    def _histories(self, past: Past) -> Iterator[History]:
        """Yield the history whose hash is that of the record, if the log has it."""
        rows = _events(self._store, past.people)
        by_arrival = sorted(range(len(rows)), key=lambda at: rows[at][-1])
        sure = by_arrival[: max(0, past.events - LATE)]
        late = by_arrival[len(sure) : past.events + LATE]
        for chosen in combinations(late, past.events - len(sure)):
            kept = sorted((*sure, *chosen))
            history = History.of([rows[at][:4] for at in kept])
            if fingerprint(history) == past.digest:
                yield history

    def _lost(self, actor: str, past: Past) -> History:
        self.gone.append(
            f"the log no longer has the {past.events} events of {actor} as they were seen"
        )
        return History.of([])


class Retold(LiveCounts):
    """Live counts that answer what they answered then."""

    def __init__(self, told: LiveRecord) -> None:
        self.spec = LiveSpec()
        self._told = told

    def __len__(self) -> int:
        return self._told.size

    def followers(self, item_id: str) -> dict[str, float]:
        """See `LiveCounts.followers`."""
        told = self._told.after.get(item_id)
        return told.read() if told else {}

    def trending(self) -> list[tuple[str, float]]:
        """See `LiveCounts.trending`."""
        return list(self._told.risen.read().items()) if self._told.risen else []


def _events(store: Store, people: Sequence[str]) -> list[tuple[str, str, int, float, int]]:
    """Return (item, kind, time, stars or NaN, received) of all item events, as they are read."""
    out: list[tuple[str, str, int, float, int]] = []
    for who in people:
        for batch in store.log.scan(actor=who):
            columns = [batch[name] for name in ("item_id", "kind", "time", "value", "received")]
            for at in (2, 4):
                columns[at] = columns[at].cast(pa.int64())
            for item, kind, time, value, received in zip(
                *(column.to_pylist() for column in columns), strict=True
            ):
                if item is not None and kind != IMPRESSION:
                    stars = float("nan") if value is None else value
                    out.append((item, kind, time, stars, received))
    return out

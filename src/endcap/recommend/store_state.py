"""The state of the world read from a store: for the command line, scripts and tests."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from endcap.events.store import Store
from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.availability import Availability
from endcap.recommend.facts import facts_of
from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.spot import NOWHERE, Spot, spot_of
from endcap.recommend.newcomers import unknown_to
from endcap.recommend.state import EXPOSURE_DAYS, History
from endcap.schema.actors import VISITOR_PREFIX
from endcap.schema.kinds import IMPRESSION


class StoreState:
    """Reads histories at each question and the catalogue once: call `refresh` after it changed.

    Parameters
    ----------
    store
        Where everything is.
    clock
        The present moment, UTC.

    Stability: caller.
    """

    def __init__(
        self, store: Store, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._clock = clock
        self.refresh()

    def refresh(self) -> None:
        """Read the catalogue again."""
        self._items = self._store.catalogue.items()
        self._words = Vocabulary(self._items["item_id"])  # `items` comes ordered by id, as this is
        self._availability = Availability(self._items)
        self._columns: Columns | None = None
        self._exposure: Counter[str] | None = None
        self._newcomers: tuple[Vocabulary, pa.Table] | None = None

    @property
    def version(self) -> int:
        """Grows with the log; the catalogue is as it was at the last `refresh`."""
        return self._store.log.count()

    @property
    def now(self) -> datetime:
        """The clock."""
        return self._clock()

    @property
    def columns(self) -> Columns:
        """The catalogue by columns, made when somebody first asks."""
        if self._columns is None:
            self._columns = Columns(self._items)
        return self._columns

    @property
    def live(self) -> None:
        """Nobody counts along."""
        return None

    def history(self, actor: str) -> History:
        """Return the item events of an actor, those of their aliases included, oldest first."""
        tables = [
            pa.Table.from_batches(batches)
            for who in self._same_person(actor)
            if (batches := list(self._store.log.scan(actor=who)))
        ]
        return history_of(pa.concat_tables(tables)) if tables else History.of([])

    def shown_to(self, actor: str, since: int = 0) -> Mapping[str, int]:
        """Return how often an actor was shown each item since they last took it up."""
        return self.history(actor).unclicked(since)

    def whereabouts(self, actor: str) -> Spot:
        """Return where an actor's account says they are."""
        return spot_in(self._store, self._same_person(actor)[0])

    @property
    def exposure(self) -> Mapping[str, int]:
        """How often anybody was shown each item lately, as the log had it at the last `refresh`."""
        if self._exposure is None:
            since = self.now - timedelta(days=EXPOSURE_DAYS)
            batches = self._store.log.scan(since, kinds=[IMPRESSION])
            self._exposure = Counter(i for batch in batches for i in batch["item_id"].to_pylist())
        return self._exposure

    def available_rows(self, words: Vocabulary, now: int) -> npt.NDArray[np.int32]:
        """Return the rows of `words` that may be shown at `now`."""
        return self._availability.rows(words, now)

    def on_shelf(self, item_ids: Sequence[str], now: int) -> Sequence[str]:
        """Return those of some items that may be shown at `now`, in their order."""
        return self._availability.among(item_ids, now)

    def newcomers(self, words: Vocabulary) -> pa.Table:
        """Return the rows of the catalogue that `words` do not hold, as of the last `refresh`."""
        if self._newcomers is None or self._newcomers[0] is not words:
            self._newcomers = words, unknown_to(words, self._items)
        return self._newcomers[1]

    def available_ids(self, now: int) -> Sequence[str]:
        """Return the items of the catalogue that may be shown at `now`, newest first."""
        return self._availability.ids(now)

    def facts(self, item_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        """Return what a page shows of each item it knows."""
        rows = self._words.rows(item_ids)
        return facts_of(self._items.take(pa.array(rows[rows >= 0])))

    def _same_person(self, who: str) -> list[str]:
        aliases = self._store.aliases()
        visitor = who.removeprefix(VISITOR_PREFIX)
        user = aliases.get(visitor, who) if visitor != who else who
        return [user, *sorted(VISITOR_PREFIX + v for v, u in aliases.items() if u == user)]


def spot_in(store: Store, user_id: str) -> Spot:
    """Return where the account of a user says they are."""
    found = store.catalogue.users([user_id])["attributes"].to_pylist()
    return spot_of(found[0]) if found else NOWHERE


def history_of(events: pa.Table) -> History:
    """Return the item events of a table of schema `EVENTS` as a history; an event counts once."""
    ids = events["event_id"].combine_chunks()
    first = np.sort(np.unique(np.asarray(ids.to_numpy(zero_copy_only=False), str), True)[1])
    told = events.take(pa.array(first)) if len(first) < len(ids) else events
    told = told.filter(pc.is_valid(told["item_id"])).sort_by("time")
    return History(
        told["item_id"].to_pylist(),
        told["kind"].to_pylist(),
        told["time"].cast(pa.int64()).to_numpy(),
        pc.fill_null(told["value"], float("nan")).to_numpy().astype(np.float32),
        pc.fill_null(told["quantity"], 1).to_numpy(),
    )

"""The world as it is now, held in memory: what each shopper did and what the shop sells."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from endcap.events.store import Deed, Receipt, Store
from endcap.models.live import Live, LiveCounts, Taken
from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.availability import Availability
from endcap.recommend.facts import Facts
from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.spot import Spot
from endcap.recommend.newcomers import Newcomers
from endcap.recommend.replaying.witness import Looks
from endcap.recommend.state import EXPOSURE_DAYS, TAKEN_UP, History
from endcap.recommend.store_state import spot_in
from endcap.schema.actors import VISITOR_PREFIX, actor
from endcap.schema.kinds import IMPRESSION
from endcap.schema.tables import ITEMS
from endcap.schema.trust import CLAIMED, PROVABLE, is_claimed
from endcap.serve.histories import Histories

Row = tuple[str, Any, str, int, float | None]
"""What is used of an event: who it was, item, kind, time (UTC µs), value."""
WARM_DAYS: Final = 14.0
"""What is older counts a quarter at most, and the artefact has learnt it."""
COUNTED_AT_ONCE: Final = 64
"""Half a millisecond's work."""
COUNTED_LATER: Final = 500
"""Writers that are faster than their events are counted wait for what is more than this."""
FEW: Final = 20
"""So many are counted sooner than a thread hears of them."""
SEEN_BY_NOBODY: Final = IMPRESSION
"""What we showed says nothing about what the shopper did, and there are ten of it per request."""
FATIGUING: Final = (IMPRESSION, *TAKEN_UP)


def utc_now() -> datetime:
    """Return the time by the clock of this machine."""
    return datetime.now(UTC)


class LiveState:
    """A `recommend.State` that follows every acknowledged event at once.

    Histories are read from the store when somebody asks for the first time, and kept (bounded);
    an event that has become durable is added to what is kept before its writer gets an answer,
    so the shopper's next request sees it. Safe to share between threads.

    Parameters
    ----------
    store
        The truth; everything here can be rebuilt from it.
    kinds
        Kinds of event that make up a history, and the preference in each.
    clock
        Returns the time, UTC.
    keep_events
        How many events of histories stay in memory, over all actors.

    Attributes
    ----------
    inline_rows
        Up to so many events are followed in microseconds; more would hold up an event loop.
    on_promoted
        Called when another replica serves another artefact.
    on_sharing
        Told when other replicas cannot be followed any more (False), and when they can again.

    Stability: caller.
    """

    inline_rows = 128

    def __init__(
        self,
        store: Store,
        kinds: Mapping[str, float],
        *,
        clock: Callable[[], datetime] = utc_now,
        keep_events: int = 300_000,
    ) -> None:
        self._store = store
        self._clock = clock
        self._kinds = [kind for kind in kinds if kind != SEEN_BY_NOBODY]
        self._weights = kinds
        self._histories = Histories(self._read, keep_events)
        self._shown = Histories(self._read_shown, keep_events // 3)
        self._exposure: Counter[str] = Counter()
        self.live = LiveCounts(Live())
        self.on_promoted: Callable[[], object] = _nothing
        self.on_sharing: Callable[[bool], object] = _nothing
        self._version = 0
        self._closed = False
        self._uncounted = threading.Event()
        self._counter = threading.Thread(target=self._keep_counting, name="counting", daemon=True)
        self._counter.start()
        self._counting = threading.Lock()
        self._people = threading.Lock()  # histories and aliases: held for microseconds
        self._goods = threading.Lock()  # the catalogue: held while all of it is read
        self.reload()

    def reload(self) -> None:
        """Read catalogue and aliases again and forget histories: others may have written."""
        with self._goods:
            self._position = self._read_up_to = self._store.catalogue.position()
            items = self._store.catalogue.items()
            self._shelf = Availability(items if items.num_rows else None)
            self._facts = Facts(items)
            self._columns = Columns(items)
            self._newcomers = Newcomers(self._store.catalogue.items)
            del items
            pa.default_memory_pool().release_unused()
        with self._people:
            self._aliases = self._store.aliases()
            self._known_as = _turned(self._aliases)
            self._histories.clear()
            self._shown.clear()
        self._touch()

    @property
    def position(self) -> int:
        """The position of the catalogue that was followed; see `Catalogue.position`."""
        return self._position

    def people(self, actor: str) -> list[str]:
        """Return whose events are an actor's history: a user, and visitors aliased to it."""
        who = self.resolve(actor)
        return [who, *self._known_as.get(who, ())]

    @property
    def version(self) -> int:
        """A counter that grows with every change that could change an answer."""
        return self._version

    @property
    def sharing(self) -> tuple[bool, str]:
        """Whether other replicas are followed, and why not; a process alone follows all."""
        return True, ""

    @property
    def now(self) -> datetime:
        """The clock, UTC."""
        return self._clock()

    def caught_up(self) -> Looks:
        """See `Placed.caught_up`; a process alone always is."""
        return Looks(self.history, self.available_rows, self.available_ids)

    def as_it_is(self) -> Looks:
        """See `Placed.as_it_is`."""
        return self.caught_up()

    def at_hand(self, actor: str | None, words: Vocabulary | None, *, shown: bool) -> bool:
        """Return whether an actor can be answered from memory, without waiting for anybody.

        Parameters
        ----------
        words
            Those of the models, where newcomers are asked about.
        shown
            Whether it will be asked what they were shown.
        """
        if self._goods.locked() or not (words is None or self._newcomers.know(words)):
            return False
        if actor is None:
            return True
        who = self.resolve(actor)
        return who in self._histories and (not shown or who in self._shown)

    def history(self, actor: str) -> History:
        """Return the item events of an actor, up to the last acknowledged, oldest first."""
        return self._histories.of(self.resolve(actor))

    def shown_to(self, actor: str, since: int = 0) -> Mapping[str, int]:
        """Return item id -> how often an actor was shown it since they last took it up.

        What another process showed, which shares no bus with this one, is seen within a minute.
        """
        return self._shown.of(self.resolve(actor)).unclicked(since)

    def whereabouts(self, actor: str) -> Spot:
        """Return where an actor's account says they are; it is read at each question."""
        return spot_in(self._store, self.resolve(actor))

    @property
    def exposure(self) -> Mapping[str, int]:
        """Item id -> how often anybody was shown it: since `warm` began, and in the days before."""
        return self._exposure

    def impressions_stored(self, events: pa.Table) -> None:
        """Follow impressions that have just become durable."""
        self._follow_shown(self._rows(events))

    def shown_elsewhere(self, actors: Sequence[str], items: Mapping[str, int]) -> None:
        """Follow impressions that another process stored: to whom, and how often which item."""
        with self._people:
            for who in actors:
                self._shown.forget(self.resolve(who))
            self._exposure.update(items)

    def available_rows(self, words: Vocabulary, now: int) -> npt.NDArray[np.int32]:
        """Return the rows of `words` that may be shown at `now` (UTC µs), int32, rising."""
        return self._shelf.rows(words, now)

    def on_shelf(self, item_ids: Sequence[str], now: int) -> Sequence[str]:
        """Return those of some items that may be shown at `now`, in their order."""
        return self._shelf.among(item_ids, now)

    def newcomers(self, words: Vocabulary) -> pa.Table:
        """Return the rows of the catalogue that `words` do not hold: items posted since."""
        with self._goods:
            return self._newcomers.of(words, self._facts)

    def available_ids(self, now: int) -> Sequence[str]:
        """Return the items of the catalogue that may be shown at `now`, newest first."""
        return self._shelf.ids(now)

    @property
    def columns(self) -> Columns:
        """The catalogue as filters ask it, kept up to date."""
        return self._columns

    def facts(self, item_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        """Return what a page shows of each item it knows."""
        return self._facts.of(item_ids)

    def item_ids(self) -> Sequence[str]:
        """Return the ids of the whole catalogue, sorted."""
        with self._goods:
            return sorted(self._facts)

    def resolve(self, actor: str) -> str:
        """Return the user whom an aliased visitor is, else the actor itself."""
        if actor.startswith(VISITOR_PREFIX):
            return self._aliases.get(actor.removeprefix(VISITOR_PREFIX), actor)
        return actor

    def events_stored(self, events: pa.Table, receipt: Receipt) -> None:
        """Follow rows of schema `EVENTS` that have just become durable.

        The receipt does not say which rows were duplicates; where there are any, the histories
        that the batch touches are read again from the store.
        """
        rows = self._rows(events)
        if receipt.duplicate:
            self._forget(rows)
        else:
            with self._people:
                for who, item, kind, time, value in rows:
                    if item is not None and kind in self._kinds:
                        self._histories.add(who, (item, kind, time, _float(value)))
            self._count_soon(_believed(rows, events))
            self._follow_shown(rows)
        self._touch()

    def events_elsewhere(self, events: pa.Table, *, repeats: bool) -> None:
        """Follow rows of schema `EVENTS` that another replica stored, `repeats` among them or not.

        What is kept may hold them already, so the histories they touch are read again.
        """
        rows = self._rows(events)
        self._forget(rows)
        if not repeats:
            self._count_soon(_believed(rows, events))
        self._touch()

    def warm(
        self,
        end: threading.Event,
        days: float = WARM_DAYS,
        turn: Callable[[Callable[[], None]], object] = lambda work: work(),
    ) -> None:
        """Count what happened in the last days; returns early once `end` is set.

        Parameters
        ----------
        turn
            Does some work, half a millisecond of it, and returns when it is done: where it hinders
            whoever waits for an answer least.
        """
        until = self.now
        kinds = [kind for kind in self._kinds if self._weights.get(kind, 0) > 0]
        since, used = until - timedelta(days=days), [*_USED, "properties"]
        for batch in self._store.log.scan(since, until, kinds, columns=used):
            for start in range(0, batch.num_rows, COUNTED_AT_ONCE):
                if end.is_set():
                    return
                few = batch.slice(start, COUNTED_AT_ONCE)  # Arrow keeps the interpreter for each
                rows = _believed(self._rows(few), few)
                turn(partial(self._count, rows))
        self._touch()

    def warm_exposure(self, end: threading.Event) -> None:
        """Count what was shown in the last days; returns early once `end` is set."""
        now = self.now
        since = now - timedelta(days=EXPOSURE_DAYS)
        batches = self._store.log.scan(since, now, [IMPRESSION], columns=["item_id"])
        for batch in batches:
            if end.is_set():
                return
            self._exposure.update(i for i in batch["item_id"].to_pylist() if i is not None)

    def _rows(self, events: pa.Table | pa.RecordBatch) -> list[Row]:
        """Return what is used of events; who acted is looked up once for all that follows."""
        users, visitors, *used = (_values(events.column(name)) for name in _USED)
        pairs = zip(users, visitors, strict=True)
        who = [self.resolve(actor(user, visitor) or "") for user, visitor in pairs]
        return list(zip(who, *used, strict=True))

    def _forget(self, rows: Sequence[Row]) -> None:
        """Have what is kept of those who acted read again."""
        with self._people:
            for who in {row[0] for row in rows}:
                self._histories.forget(who)
                self._shown.forget(who)

    def _follow_shown(self, rows: Sequence[Row]) -> None:
        fatiguing = [row for row in rows if row[2] in FATIGUING and row[1] is not None]
        with self._people:
            for who, item, kind, time, value in fatiguing:
                self._shown.add(who, (item, kind, time, _float(value)))
                if kind == IMPRESSION:
                    self._exposure[item] += 1

    def _count(self, rows: Sequence[Row]) -> None:
        """Let everybody know, as `_counted`."""
        self.live.later(self._counted(rows))
        self.live.settle()

    def _count_soon(self, rows: Sequence[Row]) -> None:
        """Let everybody know before they ask; whoever brings many events need not wait for it."""
        if len(rows) <= FEW or self.live.due > COUNTED_LATER:
            self._count(rows)
        else:
            self.live.later(self._counted(rows))
            self._uncounted.set()

    def _counted(self, rows: Sequence[Row]) -> list[Taken]:
        """Return what counts; the weights of kinds that say nothing, or no, are passed over."""
        weights = self._weights
        return [
            (who, item, weight, time)
            for who, item, kind, time, _ in rows
            if item is not None and (weight := weights.get(kind, 0.0)) > 0
        ]

    def _keep_counting(self) -> None:
        while not self._closed:
            self._uncounted.wait()
            self._uncounted.clear()
            self.live.settle()

    def items_changed(self, item_ids: Sequence[str]) -> None:
        """Read items again that somebody stored or deleted."""
        with self._goods:  # held while reading: who reads later applies later
            self._position = self._store.catalogue.position()
            items = self._store.catalogue.items(item_ids)
            gone = set(item_ids) - set(items["item_id"].to_pylist())
            self._facts.delete(gone)
            self._facts.upsert(items)
            self._shelf.upsert(items)
            self._shelf.delete(gone)
            self._newcomers.changed(items, gone)
            self._columns.upsert(items)
            self._columns.delete(gone)
        self._touch()

    def items_stored(self, items: pa.Table) -> None:
        """Follow rows of schema `ITEMS` that have just become durable."""
        with self._goods:
            self._position = self._store.catalogue.position()
            self._facts.upsert(items)
            self._shelf.upsert(items)
            self._newcomers.changed(items)
            self._columns.upsert(items)
        self._touch()

    def items_patched(self, item_ids: Sequence[str]) -> None:
        """Follow changes of some fields: two of one item may come here in another order."""
        self.items_changed(item_ids)

    def items_deleted(self, item_ids: Sequence[str]) -> None:
        """Follow a deletion that has just become durable."""
        gone = set(item_ids)
        with self._goods:
            self._position = self._store.catalogue.position()
            self._facts.delete(gone)
            self._shelf.delete(item_ids)
            self._newcomers.changed(ITEMS.empty_table(), gone)
            self._columns.delete(item_ids)
        self._touch()

    def alias_stored(self, visitor_id: str, user_id: str) -> None:
        """Follow an alias that has just become durable: the visitor's events are the user's."""
        with self._people:
            before = self._aliases.get(visitor_id, user_id)
            self._aliases[visitor_id] = user_id
            gone = VISITOR_PREFIX + visitor_id
            known = self._known_as
            known[before] = tuple(v for v in known.get(before, ()) if v != gone)
            known[user_id] = (*known.get(user_id, ()), gone)
            for who in (VISITOR_PREFIX + visitor_id, before, user_id):
                self._histories.forget(who)
                self._shown.forget(who)
        self._touch()

    def erased(self, people: Sequence[str]) -> None:
        """Forget actors of whom the store has just been cleared."""
        with self._people:
            gone = set(people)
            self._aliases = {
                visitor: user
                for visitor, user in self._aliases.items()
                if user not in gone and VISITOR_PREFIX + visitor not in gone
            }
            self._known_as = _turned(self._aliases)
            for who in people:
                self._histories.forget(who)
                self._shown.forget(who)
                self.live.forget(who)
        self._touch()

    def settled(self) -> None:
        """Follow an erasure that everybody has heard of."""

    def promoted(self) -> None:
        """Follow another artefact having taken over in this process."""
        self.reload()

    def close(self) -> None:
        """Let go of what is not the store's."""
        self._closed = True
        self._uncounted.set()
        self._counter.join()

    def _touch(self) -> None:
        with self._counting:
            self._version += 1

    def _read(self, who: str) -> list[Deed]:
        return self._scan(who, self._kinds)

    def _read_shown(self, who: str) -> list[Deed]:
        return self._scan(who, FATIGUING)

    def _scan(self, who: str, kinds: Sequence[str]) -> list[Deed]:
        return [deed for one in self.people(who) for deed in self._store.log.history(one, kinds)]


def _turned(aliases: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return user -> the visitors that are them, as actors."""
    out: dict[str, tuple[str, ...]] = {}
    for visitor, user in aliases.items():
        out[user] = (*out.get(user, ()), VISITOR_PREFIX + visitor)
    return out


_USED: Final = ("user_id", "visitor_id", "item_id", "kind", "time", "value")


def _values(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())  # microseconds: a datetime each is slow
    return [None] * len(column) if column.null_count == len(column) else column.to_pylist()


def _believed(rows: list[Row], events: pa.Table | pa.RecordBatch) -> list[Row]:
    """Give claims the kind that stands for them: to everybody else they count less."""
    if PROVABLE.isdisjoint(row[2] for row in rows):
        return rows
    told = events.column("properties").to_pylist()
    return [
        (*row[:2], CLAIMED, *row[3:]) if row[2] in PROVABLE and is_claimed(properties) else row
        for row, properties in zip(rows, told, strict=True)
    ]


def _float(value: float | None) -> float:
    return float("nan") if value is None else value


def _nothing(*_: object) -> None:
    """Follow nothing."""

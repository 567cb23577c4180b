"""The live state of one replica among several: what one stored, all of them see.

The store is the truth; a `LiveBus` only carries word of what became durable. A replica tells the
bus before it answers the writer, and asks the bus before it reads a shopper's history, so the next
request sees the event wherever it lands. Without the bus each history is read from the store.
"""

import secrets
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from typing import Any, Final, Literal, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import structlog

from endcap import plugins
from endcap.events.store import Receipt, Store
from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.replaying.witness import Looks
from endcap.recommend.state import History
from endcap.schema.actors import actor
from endcap.schema.errors import EndcapError, StoreError
from endcap.schema.settings import LiveSettings
from endcap.schema.tables import EVENTS
from endcap.serve.state import LiveState

PROBE_SECONDS: Final = 0.25
WAIT_SECONDS: Final = 0.4
log = structlog.get_logger(__name__)


class Change(msgspec.Struct, frozen=True, array_like=True):
    """Word of something that has become durable.

    Attributes
    ----------
    kind
        ``items``: rows of the catalogue are other ones or gone; ``shown``: somebody was shown
        something; ``erased``: nothing is stored of some actors any more; ``promoted``: another
        artefact serves; ``reload``: more has changed than was told.
    ids
        Items, the visitor and the user of an alias, or actors.
    rows
        Events as an Arrow record batch of schema `EVENTS`; for ``shown``, how often which item.
    columns
        Fingerprint of that schema, which another version may not share.
    repeats
        Whether some of them were in the log before.
    sender
        The replica.
    """

    kind: Literal["events", "items", "shown", "alias", "erased", "promoted", "reload"]
    ids: tuple[str, ...] = ()
    rows: bytes = b""
    columns: str = ""
    repeats: bool = False
    sender: str = ""


class BusError(Exception):
    """The bus cannot be reached, or does not answer in time."""


class LiveBus(Protocol):
    """Carries changes between replicas, in one order; may forget, but never without saying so.

    Stability: implementer.
    """

    def publish(self, change: Change) -> None:
        """Return once each `catch_up` that begins from now on will see `change`.

        Raises
        ------
        BusError
            Within a fraction of a second.
        """

    def catch_up(self) -> list[Change] | None:
        """Return what was published since the last call; None where some of it is gone.

        The first call returns None. Not called from two threads at once. Raises `BusError`.
        """

    def wait(self, seconds: float) -> None:
        """Return when there may be something new, after `seconds` at the latest.

        Raises `BusError`.
        """

    def forget(self) -> None:
        """Overwrite or remove all that was published; who has not read it yet reads all again.

        Raises `BusError`.
        """

    def close(self) -> None:
        """Let go of connections."""


def open_live_state(
    settings: LiveSettings, store: Store, kinds: Mapping[str, float], bus: LiveBus | None = None
) -> LiveState:
    """Return a live state of this process alone, or one shared over ``settings.url`` or `bus`.

    Raises
    ------
    PluginError
        When no installed bus takes URLs of that scheme.
    """
    if settings.url:
        bus = plugins.load("endcap.buses", settings.url.partition(":")[0])(settings)
    if bus is None:
        return LiveState(store, kinds, keep_events=settings.keep_events)
    return SharedState(store, kinds, bus, keep_events=settings.keep_events)


def apply(live: LiveState, change: Change) -> None:
    """Have a live state follow what somebody else stored; it tells nobody."""
    match change.kind:
        case "events" if change.columns == _COLUMNS:
            live.events_elsewhere(_unpacked(change.rows), repeats=change.repeats)
        case "items":
            live.items_changed(change.ids)
        case "shown":
            live.shown_elsewhere(change.ids, _decoded(change.rows))
        case "alias":
            LiveState.alias_stored(live, *change.ids)
        case "erased":
            LiveState.erased(live, change.ids)
        case "promoted":
            live.on_promoted()
        case _:
            live.reload()


def told_events(events: pa.Table, *, repeats: bool, sender: str = "") -> Change:
    """Return word of rows of schema `EVENTS`, `repeats` among them or not."""
    return Change("events", rows=_packed(events), columns=_COLUMNS, repeats=repeats, sender=sender)


class SharedState(LiveState):
    """A `LiveState` that follows what other replicas stored.

    While the bus is away (the breaker is open) histories and aliases are read from the store each
    time, so read-your-writes still holds; others' catalogue changes are looked for there.

    Parameters
    ----------
    bus
        Closed with this.
    """

    inline_rows = 0

    def __init__(
        self, store: Store, kinds: Mapping[str, float], bus: LiveBus, **options: Any
    ) -> None:
        self._bus = bus
        self._name = secrets.token_hex(8)
        self._following = threading.RLock()  # what is applied may ask for a slate to try
        self._applying = False
        self._end = threading.Event()
        self._connected = False
        self._trouble = "not connected yet"
        self._untold = False  # something of ours the others have not been told
        found = self._take_position()
        super().__init__(store, kinds, **options)
        self._connected = found
        self._thread = threading.Thread(target=self._follow, name="live-bus", daemon=True)
        self._thread.start()

    @property
    def sharing(self) -> tuple[bool, str]:
        """Whether other replicas are followed, and why not."""
        return self._connected, "" if self._connected else self._trouble

    def caught_up(self) -> Looks:
        """See `LiveState.caught_up`; up to the last event acknowledged by any replica."""
        return self._looks(again=not self._catch_up())

    def as_it_is(self) -> Looks:
        """See `LiveState.as_it_is`; what others did in the last moments may be missing."""
        return self._looks(again=False)

    def _looks(self, *, again: bool) -> Looks:
        read = partial(self._history, again=again)
        return Looks(read, super().available_rows, super().available_ids)

    def at_hand(self, actor: str | None, words: Vocabulary | None, *, shown: bool) -> bool:
        """See `LiveState.at_hand`: never, for others may have stored something."""
        return False

    def history(self, actor: str) -> History:
        """See `LiveState.history`; up to the last event acknowledged by any replica."""
        return self._history(actor, again=not self._catch_up())

    def _history(self, actor: str, *, again: bool) -> History:
        if again:
            self._read_aliases(actor)
        return self._histories.of(self.resolve(actor), again=again)

    def _read_aliases(self, actor: str) -> None:
        """Learn who an actor is and who is them, as far as the store can say."""
        with suppress(StoreError):
            for visitor_id, user_id in self._store.aliases([actor]).items():
                if self._aliases.get(visitor_id) != user_id:
                    super().alias_stored(visitor_id, user_id)

    def available_rows(self, words: Vocabulary, now: int) -> npt.NDArray[np.int32]:
        """See `LiveState.available_rows`; without what any replica has taken off the shelf.

        A question of nobody in particular asks for no history, and must not show it either.
        """
        self._catch_up()
        return super().available_rows(words, now)

    def available_ids(self, now: int) -> Sequence[str]:
        """See `LiveState.available_ids`; as `available_rows`."""
        self._catch_up()
        return super().available_ids(now)

    def events_stored(self, events: pa.Table, receipt: Receipt) -> None:
        """See `LiveState.events_stored`; returns when the other replicas can know."""
        super().events_stored(events, receipt)
        if events.num_rows:
            repeats = receipt.duplicate > 0
            self._tell(told_events(events, repeats=repeats, sender=self._name))

    def impressions_stored(self, events: pa.Table) -> None:
        """See `LiveState.impressions_stored`; what fatigue and reach count is told in few bytes."""
        super().impressions_stored(events)
        people = zip(*(events[name].to_pylist() for name in ("user_id", "visitor_id")), strict=True)
        actors = {who for pair in people if (who := actor(*pair))}
        items = Counter(item for item in events["item_id"].to_pylist() if item)
        told = msgspec.msgpack.encode(items)
        self._tell(Change("shown", ids=tuple(sorted(actors)), rows=told, sender=self._name))

    def items_stored(self, items: pa.Table) -> None:
        """See `LiveState.items_stored`; two replicas may change one item at the same moment."""
        self.items_deleted(items["item_id"].to_pylist())

    def items_patched(self, item_ids: Sequence[str]) -> None:
        """See `LiveState.items_patched`."""
        self.items_deleted(item_ids)

    def items_deleted(self, item_ids: Sequence[str]) -> None:
        """See `LiveState.items_deleted`."""
        self.items_changed(item_ids)
        self._tell(Change("items", ids=tuple(item_ids), sender=self._name))

    def alias_stored(self, visitor_id: str, user_id: str) -> None:
        """See `LiveState.alias_stored`."""
        super().alias_stored(visitor_id, user_id)
        self._tell(Change("alias", ids=(visitor_id, user_id), sender=self._name))

    def erased(self, people: Sequence[str]) -> None:
        """See `LiveState.erased`."""
        super().erased(people)
        self._tell(Change("erased", ids=tuple(people), sender=self._name))

    def settled(self) -> None:
        """See `LiveState.settled`; what the bus still carries of them goes, too."""
        try:
            self._bus.forget()
        except BusError as error:
            self._lose(error)

    def promoted(self) -> None:
        """See `LiveState.promoted`."""
        super().promoted()
        self._tell(Change("promoted", sender=self._name))

    def close(self) -> None:
        """Stop following."""
        self._end.set()
        self._thread.join()
        self._bus.close()
        super().close()

    def _tell(self, change: Change) -> None:
        if self._connected:
            try:
                self._bus.publish(change)
            except BusError as error:
                self._lose(error)
        if not self._connected:
            self._untold = True

    def _catch_up(self) -> bool:
        """Apply what others published before this call; return whether that was possible."""
        try:
            with self._following:
                if self._connected and not self._applying:
                    self._apply(self._bus.catch_up())
        except (BusError, EndcapError) as error:
            self._lose(error)
        return self._connected

    def _apply(self, changes: list[Change] | None) -> None:
        self._applying = True
        try:
            for change in [Change("reload")] if changes is None else changes:
                if change.sender != self._name:
                    apply(self, change)
        finally:
            self._applying = False

    def _lose(self, error: Exception) -> None:
        """Open the breaker: from now on nobody waits for the bus, until the follower closes it."""
        if self._connected:
            self._trouble = str(error)
            self._connected = False
            self.on_sharing(False)
            log.warning("live bus away; histories are read from the store", reason=self._trouble)

    def _follow(self) -> None:
        while not self._end.is_set():
            if self._connected:
                self._own_up()
                self._wait()
                self._catch_up()
            elif not self._end.wait(PROBE_SECONDS):
                self._come_back()
                self._look()

    def _wait(self) -> None:
        try:
            self._bus.wait(WAIT_SECONDS)
        except BusError as error:
            self._lose(error)

    def _own_up(self) -> None:
        """Have the others read again what they could not be told."""
        if self._untold:
            self._untold = False
            self._tell(Change("reload", sender=self._name))

    def _come_back(self) -> None:
        """Close the breaker once the bus answers and everything has been read again."""
        try:
            if self._take_position():
                self.reload()
                self._connected = True
                self.on_sharing(True)
                log.info("live bus back")
        except EndcapError as error:
            self._trouble = str(error)

    def _look(self) -> None:
        """Read the items that others changed while nobody can tell.

        `position` would not do: it moves with what is stored here, past what was stored elsewhere.
        """
        if self._connected:
            return
        with suppress(EndcapError):  # the store is away, too: the next look is soon
            now = self._store.catalogue.position()
            if now > self._read_up_to:
                self.items_changed(self._store.catalogue.changed(self._read_up_to))
                self._read_up_to = now

    def _take_position(self) -> bool:
        """Begin to follow from here; what was before must be read from the store."""
        try:
            with self._following:
                self._bus.catch_up()
        except BusError as error:
            self._trouble = str(error)
            return False
        return True


_decoded: Final = msgspec.msgpack.Decoder(dict[str, int]).decode
_COLUMNS: Final = blake2b(EVENTS.to_string().encode(), digest_size=8).hexdigest()


def _packed(events: pa.Table) -> bytes:
    (batch,) = events.combine_chunks().to_batches()
    return batch.serialize().to_pybytes()  # type: ignore[no-any-return]


def _unpacked(rows: bytes) -> pa.Table:
    return pa.Table.from_batches([pa.ipc.read_record_batch(pa.py_buffer(rows), EVENTS)])

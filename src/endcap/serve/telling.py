"""Writers outside the servers tell them what they stored, and servers listen."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from endcap import plugins
from endcap.events.opening import open_store
from endcap.events.store import Erased, Patched, Receipt, Remembered, Store, receipt_of
from endcap.schema.errors import EndcapError
from endcap.schema.settings import Settings
from endcap.serve.sharing import BusError, Change, LiveBus, apply, told_events
from endcap.serve.sharing_file import FileBus
from endcap.serve.state import WARM_DAYS, LiveState, utc_now

ROWS: Final = 500
"""Events told at once: a server follows them in a few milliseconds."""
MOST_IDS: Final = 1000
"""Whoever changes more items has the servers read all of them."""
RELOAD_SECONDS: Final = 30.0
log = structlog.get_logger(__name__)


class TellingStore:
    """A `Store` whose servers know of what was stored here, over `bus`.

    What cannot be told, or is older than what they count, has them read again, at the end or every
    half minute.

    Parameters
    ----------
    store, bus
        Closed with this.
    """

    def __init__(self, store: Store, bus: LiveBus) -> None:
        self._store, self._bus = store, bus
        self._telling = threading.Lock()
        self._untold = False
        self._reloaded = time.monotonic()
        self.log = _TellingLog(store.log, self._events)
        self.catalogue = _TellingCatalogue(store.catalogue, self._items)
        self.quarantine = store.quarantine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def alias(self, visitor_id: str, user_id: str) -> None:
        """See `Store.alias`."""
        self._store.alias(visitor_id, user_id)
        self._tell([Change("alias", ids=(visitor_id, user_id))])

    def erase(self, people: Sequence[str]) -> Erased:
        """See `Store.erase`."""
        erased = self._store.erase(people)
        self._tell([Change("erased", ids=tuple(people))])
        return erased

    def close(self) -> None:
        """See `Store.close`."""
        self._store.close()
        if self._untold:
            self._tell([Change("reload")])
        self._bus.close()

    def _events(self, events: pa.Table, receipt: Receipt) -> None:
        if not receipt.stored:
            return
        recent = pc.greater(events["time"], utc_now() - timedelta(days=WARM_DAYS))
        fresh = events.filter(recent)
        self._untold |= fresh.num_rows < events.num_rows
        changes = [
            told_events(fresh.slice(start, ROWS), repeats=receipt.duplicate > 0)
            for start in range(0, fresh.num_rows, ROWS)
        ]
        if self._untold and time.monotonic() - self._reloaded > RELOAD_SECONDS:
            self._untold, self._reloaded = False, time.monotonic()
            changes.append(Change("reload"))
        self._tell(changes)

    def _items(self, item_ids: Sequence[str]) -> None:
        if len(item_ids) > MOST_IDS:
            self._untold = True
        elif item_ids:
            self._tell([Change("items", ids=tuple(item_ids))])

    def _tell(self, changes: Sequence[Change]) -> None:
        try:
            with self._telling:
                for change in changes:
                    self._bus.publish(change)
        except BusError as error:
            if not self._untold:
                log.warning("servers cannot be told", reason=str(error))
            self._untold = True


class _TellingLog:
    """An `EventLog` that tells of what became durable, before its writer hears of it."""

    def __init__(self, log: Any, tell: Callable[[pa.Table, Receipt], None]) -> None:
        self._log, self._tell = log, tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def submit(
        self,
        events: pa.Table,
        *,
        key: str = "",
        remember: Callable[[Receipt], Remembered] | None = None,
    ) -> "Future[Receipt]":
        """See `EventLog.submit`."""
        future: Future[Receipt] = self._log.submit(events, key=key, remember=remember)
        future.add_done_callback(lambda done: self._heard(events, done))
        return future

    def submit_each(self, events: pa.Table) -> "Future[list[bool]]":
        """See `EventLog.submit_each`."""
        future: Future[list[bool]] = self._log.submit_each(events)
        future.add_done_callback(lambda done: self._heard(events, done))
        return future

    def append(self, events: pa.Table) -> Receipt:
        """See `EventLog.append`."""
        return self.submit(events).result()

    def _heard(self, events: pa.Table, done: "Future[Any]") -> None:
        if not done.cancelled() and done.exception() is None:
            told = done.result()
            self._tell(events, told if isinstance(told, Receipt) else receipt_of(told))


class _TellingCatalogue:
    """A `Catalogue` that tells which items are other ones or gone."""

    def __init__(self, catalogue: Any, tell: Callable[[Sequence[str]], None]) -> None:
        self._catalogue, self._tell = catalogue, tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalogue, name)

    def upsert_items(self, items: pa.Table) -> Receipt:
        """See `Catalogue.upsert_items`."""
        receipt: Receipt = self._catalogue.upsert_items(items)
        if receipt.stored:
            self._tell(items["item_id"].to_pylist())
        return receipt

    def patch_items(self, patches: pa.Table) -> Patched:
        """See `Catalogue.patch_items`."""
        told: Patched = self._catalogue.patch_items(patches)
        if told.receipt.stored:
            self._tell(patches["item_id"].to_pylist())
        return told

    def delete_items(self, item_ids: Sequence[str]) -> int:
        """See `Catalogue.delete_items`."""
        deleted: int = self._catalogue.delete_items(item_ids)
        self._tell(item_ids)
        return deleted


def open_telling(settings: Settings) -> Store:
    """Open the store that the settings name; servers that run on it follow what is stored.

    Where nobody can be told (the folder cannot be written) it is the store alone, and a warning.
    """
    store = open_store(settings.store)
    try:
        telling: Any = TellingStore(store, _bus(settings))  # what it does not say it hands on
    except (OSError, EndcapError) as error:
        log.warning("servers will not be told", reason=str(error))
        return store
    return telling  # type: ignore[no-any-return]


def _bus(settings: Settings) -> LiveBus:
    if settings.live.url:
        scheme = settings.live.url.partition(":")[0]
        bus: LiveBus = plugins.load("endcap.buses", scheme)(settings.live)
        return bus
    return FileBus(settings.store.folder)


class Ear:
    """Has a live state follow what others write to the folder's `FileBus`.

    Parameters
    ----------
    bus
        From here on; closed with this.
    """

    def __init__(self, bus: LiveBus) -> None:
        self._bus = bus
        self._bus.catch_up()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def listen(self, live: LiveState) -> None:
        """Bring `live`, which was read from the store after this was made, up to date for good."""
        self._thread = threading.Thread(target=self._listen, args=(live,), name="ear", daemon=True)
        self._thread.start()

    def forget(self) -> None:
        """Overwrite what was said; see `LiveBus.forget`."""
        self._bus.forget()

    def close(self) -> None:
        """Stop listening."""
        self._end.set()
        if self._thread:
            self._thread.join()
        self._bus.close()

    def _listen(self, live: LiveState) -> None:
        while not self._end.is_set():
            try:
                self._bus.wait(0.2)
                changes = self._bus.catch_up()
                for change in [Change("reload")] if changes is None else changes:
                    apply(live, change)
            except (EndcapError, OSError) as error:
                log.warning("what others stored is not followed", reason=str(error))
                self._end.wait(1.0)


def open_ear(settings: Settings) -> Ear | None:
    """Hear what writers outside the servers say from now on.

    None where a bus for all servers brings their word, too, or where nobody can be heard.
    """
    if settings.live.url:
        return None
    try:
        return Ear(FileBus(settings.store.folder))
    except OSError as error:
        log.warning("imports will be seen late", reason=str(error))
        return None

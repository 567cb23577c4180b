"""A bounded memory of what actors did, filled from the store on demand."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from endcap.events.store import Deed
from endcap.recommend.state import History
from endcap.schema.errors import StoreError

ACTOR: Final = 4
"""An actor takes as much memory as so many events, besides those they have."""


@dataclass(slots=True)
class _Kept:
    events: list[Deed]
    read_at: float
    built: History | None = None


class Histories:
    """Least recently used actors leave when more than `keep_events` events are held.

    The order of things makes it right: an event is durable before `add` is called, so an actor
    who is not kept needs no adding, for the next read finds the event in the store. A read that
    was in flight meanwhile may have missed it, and is therefore not kept.

    Parameters
    ----------
    read
        Reads all events of an actor from the store; may be slow, is called without a lock held.
    keep_events
        The bound, over all actors, each of whom counts as four events more.
    fresh_seconds
        Kept histories are read again after this time, for other processes write to the store too.
    """

    def __init__(
        self,
        read: Callable[[str], list[Deed]],
        keep_events: int,
        *,
        fresh_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._bound = keep_events
        self._fresh_seconds = fresh_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._loads: dict[str, object] = {}  # reads in flight that are still worth keeping
        self._held = 0

    def of(self, who: str, *, again: bool = False) -> History:
        """Return the history of an actor, oldest first; `again` reads it even when it is kept.

        Where the store cannot be read, what is kept is better than nothing, however old.
        """
        with self._lock:
            kept = self._kept.get(who)
            if kept and not again and self._clock() - kept.read_at < self._fresh_seconds:
                self._kept.move_to_end(who)
                return self._history(kept)
            load = self._loads.setdefault(who, object())
        try:
            events = self._read(who)
        except StoreError:
            if kept is None:
                raise
            with self._lock:
                return self._history(kept)
        return self._keep(who, load, _Kept(events, self._clock()))

    def __contains__(self, who: object) -> bool:
        """Whether the history of an actor is kept and fresh."""
        kept = self._kept.get(who)  # type: ignore[call-overload]
        return kept is not None and self._clock() - kept.read_at < self._fresh_seconds

    def add(self, who: str, event: Deed) -> None:
        """Follow an event that has just become durable."""
        with self._lock:
            self._loads.pop(who, None)
            kept = self._kept.get(who)
            if kept:
                kept.events.append(event)
                kept.built = None
                self._held += 1
                self._evict()

    def forget(self, who: str) -> None:
        """Read this actor again when next asked for."""
        with self._lock:
            self._loads.pop(who, None)
            self._drop(who)

    def clear(self) -> None:
        """Read everybody again when next asked for."""
        with self._lock:
            self._loads.clear()
            self._kept.clear()
            self._held = 0

    def __len__(self) -> int:
        return self._held

    def _keep(self, who: str, load: object, kept: _Kept) -> History:
        with self._lock:
            if self._loads.get(who) is load:
                del self._loads[who]
                self._drop(who)
                self._kept[who] = kept
                self._held += len(kept.events) + ACTOR
                self._evict()
            return self._history(kept)

    def _drop(self, who: str) -> None:
        kept = self._kept.pop(who, None)
        if kept:
            self._held -= len(kept.events) + ACTOR

    def _evict(self) -> None:
        while self._held > self._bound and self._kept:
            self._drop(next(iter(self._kept)))

    def _history(self, kept: _Kept) -> History:
        if kept.built is None:
            kept.built = History.of(kept.events)
        return kept.built

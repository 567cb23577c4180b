"""Erasing people from a running shop: the store, what is held in memory, and what is on its way.

What was shown is written a moment after it was answered, so a slate that was under way may be
written after the erasure. Everything is therefore removed once more when that has settled, and what
the bus has carried goes then, too: by that time every other server has heard.
"""

import threading
from contextlib import suppress
from typing import Final

import structlog

from endcap.events.store import Erased, Store
from endcap.schema.actors import VISITOR_PREFIX
from endcap.schema.errors import EndcapError
from endcap.serve.sharing import BusError
from endcap.serve.state import LiveState
from endcap.serve.telling import Ear

SETTLE_SECONDS: Final = 5.0
log = structlog.get_logger(__name__)


def people(store: Store, actor: str) -> list[str]:
    """Return an actor, and the visitors that are this user, as the store has it."""
    aliases = store.aliases()
    return [actor, *(VISITOR_PREFIX + v for v, user in aliases.items() if user == actor)]


class Eraser:
    """Erases now, and again when what was under way has settled.

    Parameters
    ----------
    ear
        What carries word of writers outside the servers; None where nothing does.
    """

    def __init__(
        self,
        store: Store,
        live: LiveState,
        ear: Ear | None,
        *,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._store, self._live, self._ear = store, live, ear
        self._settle_seconds = settle_seconds
        self._lock = threading.Lock()
        self._waiting: dict[threading.Timer, list[str]] = {}

    def erase(self, actor: str) -> Erased:
        """Erase an actor and whoever is the same person; durable, and in force, when it returns."""
        who = people(self._store, actor)
        erased = self._store.erase(who)
        self._live.erased(who)
        timer = threading.Timer(self._settle_seconds, lambda: self._again(timer))
        timer.daemon = True
        with self._lock:
            self._waiting[timer] = who
        timer.start()
        log.info("erased", **erased._asdict())
        return erased

    def close(self) -> None:
        """Do at once what would have come later."""
        with self._lock:
            waiting = list(self._waiting)
        for timer in waiting:
            timer.cancel()
            self._again(timer)

    def _again(self, timer: threading.Timer) -> None:
        with self._lock:
            who = self._waiting.pop(timer, None)
        if who is None:
            return
        try:
            self._store.erase(who)
        except EndcapError as error:  # what was there is gone; only what came since may be left
            log.error("not erased once more", reason=error.message)
        LiveState.erased(self._live, who)
        self._live.settled()
        if self._ear:
            with suppress(BusError):
                self._ear.forget()

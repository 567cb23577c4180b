"""What was answered is kept for replay, without ever delaying or failing an answer."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog

from endcap.events.store import Answered, Store
from endcap.recommend.recipe import Placement
from endcap.recommend.recommender import Asked, Recommender
from endcap.recommend.replaying.records import Record
from endcap.recommend.replaying.replay import PREFIX, places_of
from endcap.recommend.replaying.witness import Placed, Witness
from endcap.recommend.slate import Request, Slate
from endcap.recommend.state import moment_us
from endcap.schema.actors import actor
from endcap.schema.errors import EndcapError, StoreError
from endcap.serve.behind import LINGER_SECONDS, Behind

PRUNE_SECONDS: Final = 3600.0
log = structlog.get_logger(__name__)


class Kept(NamedTuple):
    """A slate, and all that it depended on."""

    request: Request
    slate: Slate
    witness: Witness
    recommender: Recommender


def witness_of(state: Placed, asked: Asked) -> Witness:
    """Return a witness that has read what a recommender will ask and could have to wait for."""
    witness = Witness(state)
    who = asked.who
    if asked.words is not None:
        witness.newcomers(asked.words)
    if who:
        with suppress(EndcapError):  # the recommender is told the same, and goes on without
            witness.history(who)
        if asked.shown:
            witness.shown_to(who)
        if asked.where:
            with suppress(EndcapError):
                witness.whereabouts(who)
    return witness


def answer(recommender: Recommender, request: Request, witness: Witness) -> Kept:
    """Answer a request before a witness."""
    slate = recommender.recommend([request], witness)[0]
    return Kept(request, slate, witness, recommender)


class SlateWriter:
    """Writes slates to the store, behind the answers.

    Parameters
    ----------
    days
        For how long slates can be replayed; 0 keeps none.
    clock
        UTC.
    on_dropped
        Told how many slates were not kept, because the queue was full or the store refused.
    """

    def __init__(
        self,
        store: Store,
        days: float,
        *,
        clock: Callable[[], datetime],
        on_dropped: Callable[[int], object],
        room: int = 2_000,
    ) -> None:
        self._store = store
        self._days = days
        self._clock = clock
        self._on_dropped = on_dropped
        self._places: tuple[Mapping[str, Placement] | None, str] = (None, "")
        self._pruned: datetime | None = None
        self._behind = Behind(
            "answered",
            self._write,
            room=room,
            linger_seconds=LINGER_SECONDS,
            idle=self._prune,
            every_seconds=PRUNE_SECONDS,
        )
        self.flush, self.close = self._behind.flush, self._behind.close

    def put(self, kept: Kept) -> None:
        """Queue a slate; returns at once, and drops it when there is no room."""
        if self._days and not self._behind.put(kept):
            self._on_dropped(1)

    def _write(self, batch: Sequence[Kept]) -> None:
        try:
            self._store.slates.put([self._row(kept) for kept in batch])
        except StoreError as error:
            self._on_dropped(len(batch))
            log.warning("slates not kept", count=len(batch), reason=error.code)
        except Exception:  # what cannot be written down must not end the thread
            self._on_dropped(len(batch))
            log.exception("slates not kept", count=len(batch))

    def _row(self, kept: Kept) -> Answered:
        request, slate = kept.request, kept.slate
        now = moment_us(slate.generated_at)
        places = self._fingerprint(kept.recommender.placements)
        record = Record.of(request, slate, kept.witness, now, kept.recommender.trouble, places)
        who = actor(request.user_id, request.visitor_id)
        return Answered(slate.request_id, now, who, record.pack())

    def _fingerprint(self, placements: Mapping[str, Placement]) -> str:
        """Return the name of what placements do, which is kept once."""
        if self._places[0] is not placements:
            fingerprint, body = places_of(placements)
            if not self._store.documents.history(PREFIX + fingerprint):
                self._store.documents.write(PREFIX + fingerprint, body)
            self._places = placements, fingerprint
        return self._places[1]

    def _prune(self) -> None:
        """Forget what is too old, now and then; also where nothing is kept: catalogues change."""
        now = self._clock()
        if self._pruned is None or (now - self._pruned).total_seconds() >= PRUNE_SECONDS:
            self._pruned = now
            try:
                self._store.slates.prune(now - timedelta(days=self._days))
            except Exception as error:  # it is tried again
                log.warning("old slates not removed", error=str(error))

"""From a broker's messages to durable events: at least once, and once in the log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from endcap.events.store import Receipt, Store
from endcap.schema.errors import BusyError, StoreError
from endcap.schema.settings import EventSettings
from endcap.serve.intake import EVENT_ROWS, Context, Intake, take_each
from endcap.serve.state import utc_now

LAG_SECONDS: Final = 1.0
LONGEST_WAIT: Final = 5.0
log = structlog.get_logger(__name__)
Take = Callable[[Sequence[bytes]], Awaitable[None]]


class Source(Protocol):
    """A place on a broker where events arrive, each message one JSON object.

    Stability: implementer.
    """

    async def consume(self, take: Take, end: asyncio.Event) -> None:
        """Hand on batches until `end`; a message counts as read once `take` has returned."""

    async def bury(self, letter: bytes) -> None:
        """Publish what cannot be used where somebody may look at it."""

    async def lag(self) -> int:
        """Return how many messages wait."""


class StreamWorker:
    """Appends what arrives; while the store is busy or away it waits, and the broker keeps all.

    Parameters
    ----------
    name
        Of the source, for the quarantine.

    Attributes
    ----------
    total
        What became of all messages so far.

    Stability: caller.
    """

    def __init__(
        self,
        store: Store,
        source: Source,
        settings: EventSettings,
        *,
        name: str,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._source = source
        self._settings = settings
        self._name = name
        self._clock = clock
        self.total = Receipt()
        self.registry = CollectorRegistry()
        self._lag = Gauge(
            "endcap_stream_lag", "Messages that wait on the broker.", registry=self.registry
        )
        self._events = Counter(
            "endcap_stream_events", "Messages by outcome.", ("outcome",), registry=self.registry
        )

    async def run(self, end: asyncio.Event) -> None:
        """Work until `end` is set; what was taken by then is stored and acknowledged."""
        watching = asyncio.create_task(self._watch())
        try:
            await self._source.consume(self.take, end)
        finally:
            watching.cancel()

    async def take(self, bodies: Sequence[bytes]) -> None:
        """Store a batch; returns once it is on disk, and what is unusable is told to the broker."""
        intake = take_each(EVENT_ROWS, bodies, Context(self._clock(), self._name, self._settings))
        if intake.quarantine.num_rows:
            rows = intake.quarantine
            await self._patiently(lambda: asyncio.to_thread(self._store.quarantine.put, rows))
        stored = await self._patiently(lambda: self._append(intake))
        for error in intake.errors:
            letter = {
                "reason": error.reason,
                "field": error.field,
                "message": error.message,
                "payload": bodies[error.index].decode(errors="backslashreplace"),
            }
            await self._source.bury(msgspec.json.encode(letter))
        self._count(intake.receipt(stored))

    async def _append(self, intake: Intake) -> Receipt:
        future: Future[Receipt] = self._store.log.submit(intake.rows)
        return await asyncio.wrap_future(future)

    async def _patiently(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Try until the store takes it: nothing is acknowledged meanwhile, so nothing is lost."""
        wait = 0.1
        while True:
            try:
                return await work()
            except StoreError as error:
                log.warning("stream waits for the store", reason=error.message)
                asked = error.retry_after if isinstance(error, BusyError) else wait
                await asyncio.sleep(min(asked, LONGEST_WAIT))
                wait = min(wait * 2, LONGEST_WAIT)

    def _count(self, receipt: Receipt) -> None:
        self.total += receipt
        for outcome in ("stored", "duplicate", "rejected", "quarantined"):
            self._events.labels(outcome).inc(getattr(receipt, outcome))

    async def _watch(self) -> None:
        while True:
            try:
                self._lag.set(await self._source.lag())
            except Exception as error:  # of any driver; the figure is not worth the work
                log.warning("stream lag unknown", reason=str(error))
            await asyncio.sleep(LAG_SECONDS)

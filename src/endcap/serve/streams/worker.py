"""From a broker's messages to durable events: at least once, and once in the log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from endcap.events.store import Receipt, Store
from endcap.events.validate import Broken, Fault, quarantine_table
from endcap.schema.errors import BusyError, StoreError
from endcap.schema.settings import EventSettings
from endcap.serve.intake import EVENT_ROWS, Context, Intake, take_each
from endcap.serve.state import utc_now
from endcap.serve.streams.formats import Plain
from endcap.serve.streams.source import BATCH, Delivery, Source

LAG_SECONDS: Final = 1.0
LAG_TIMEOUT_SECONDS: Final = 3.0
KEEP_SECONDS: Final = 5.0
LONGEST_WAIT: Final = 5.0
AWAY_SECONDS: Final = 1.0
MOST_TRIES: Final = 5
"""What failed so often is a dead letter."""
TOGETHER_TRIES: Final = MOST_TRIES - 2
"""What was handed out more often is tried alone: whatever is in one batch with a message that kills
its worker is handed out again as often as that one."""
MOST_TOGETHER: Final = 2 * BATCH
log = structlog.get_logger(__name__)


class _StoppedError(Exception):
    """Told to end while the store is away: nothing is acknowledged."""


class StreamWorker:
    """Appends what arrives; while the store is busy or away it waits, and the broker keeps all.

    A message that brings its handling down is tried again by itself, `MOST_TRIES` times, and then
    put aside with what was wrong; the others flow. Where it brings the whole worker down, those
    that were with it are tried one by one: at the last try but one from the first on, at the last
    try from the last on, so that it is put aside alone.

    Parameters
    ----------
    name
        Of the source, for the quarantine.
    plain
        Makes JSON of a message; None where it is JSON.

    Attributes
    ----------
    total
        What became of all messages so far.
    dead
        How many were put aside after `MOST_TRIES`.

    Stability: caller.
    """

    def __init__(
        self,
        store: Store,
        source: Source,
        settings: EventSettings,
        *,
        name: str,
        plain: Plain | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._source = source
        self._settings = settings
        self._name = name
        self._plain = plain
        self._clock = clock
        self._end = asyncio.Event()
        self._held: Sequence[Delivery] = ()
        self._why: dict[bytes, str] = {}
        self.total = Receipt()
        self.dead = 0
        self.registry = CollectorRegistry()
        self._lag = Gauge(
            "endcap_stream_lag", "Messages that wait on the broker.", registry=self.registry
        )
        self._events = Counter(
            "endcap_stream_events", "Messages by outcome.", ("outcome",), registry=self.registry
        )

    async def run(self, end: asyncio.Event) -> None:
        """Work until `end` is set; what was taken by then is stored and acknowledged.

        Raises
        ------
        ConfigError
            When the source cannot be opened.
        """
        self._end = end
        await self._source.open()
        beside = [asyncio.create_task(self._watch()), asyncio.create_task(self._keep())]
        try:
            while not end.is_set():
                if deliveries := await self._together():
                    await self._work(deliveries)
        finally:
            end.set()
            await asyncio.wait(beside, timeout=AWAY_SECONDS)
            for task in beside:
                task.cancel()
            await self._source.close()

    async def take(self, bodies: Sequence[bytes]) -> None:
        """Store messages; returns once they are on disk, and what is unusable is buried."""
        context = Context(self._clock(), self._name, self._settings)
        intake = take_each(EVENT_ROWS, bodies, context, plain=self._plain)
        if intake.quarantine.num_rows:
            rows = intake.quarantine
            await self._patiently(lambda: asyncio.to_thread(self._store.quarantine.put, rows))
        stored = await self._patiently(lambda: self._append(intake))
        for error in intake.errors:
            await self._bury(error.reason, error.field, error.message, bodies[error.index])
        self._count(intake.receipt(stored))

    async def _together(self) -> list[Delivery]:
        """Return what waits, and all that waits where something in it was handed out too often.

        A broker may hand out again in pieces what was in one batch with a message that kills; the
        order in which they are tried needs all of them.
        """
        deliveries = more = await self._received()
        while more and any(d.tries > TOGETHER_TRIES for d in deliveries):
            if len(deliveries) >= MOST_TOGETHER:
                break
            self._held = deliveries
            more = await self._received()
            deliveries = [*deliveries, *more]
        return deliveries

    async def _received(self) -> list[Delivery]:
        try:
            return await self._source.receive()
        except Exception as error:  # of any driver: a broker that is away comes back
            log.warning("stream waits for the broker", reason=str(error))
            await self._ended(AWAY_SECONDS)
            return []

    async def _work(self, deliveries: Sequence[Delivery]) -> None:
        self._held = deliveries
        try:
            spent = [d for d in deliveries if d.tries > MOST_TRIES]
            for delivery in spent:
                await self._give_up(delivery)
            await self._done(spent)
            again = await self._settle([d for d in deliveries if d.tries <= TOGETHER_TRIES])
            for delivery in _suspects(deliveries):
                again += await self._settle([delivery])
            if again:
                await self._source.again(again)
        except _StoppedError:
            log.info("stream stops; the broker keeps what was not stored")
        except Exception as error:  # the broker left: it hands all of them out again
            log.warning("stream loses its broker", reason=str(error))
            await asyncio.sleep(AWAY_SECONDS)
        finally:
            self._held = ()

    async def _settle(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Take messages and say that they are safe; return those that failed by themselves."""
        again = await self._try(deliveries)
        names = {id(delivery) for delivery in again}
        await self._done([d for d in deliveries if id(d) not in names])
        return again

    async def _done(self, deliveries: Sequence[Delivery]) -> None:
        if not deliveries:
            return
        await self._source.done(deliveries)
        names = {id(delivery) for delivery in deliveries}
        self._held = [d for d in self._held if id(d) not in names]

    async def _try(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Take messages together, or else one by one; return those that failed by themselves."""
        if not deliveries:
            return []
        try:
            await self.take([delivery.body for delivery in deliveries])
        except _StoppedError:
            raise
        except Exception as error:  # of any kind: it is one message's, or ours
            if len(deliveries) == 1:
                why = f"{type(error).__name__}: {error}"
                self._why[deliveries[0].body] = why
                log.warning("message failed", tries=deliveries[0].tries, reason=why)
                return list(deliveries)
            return [one for delivery in deliveries for one in await self._try([delivery])]
        return []

    async def _give_up(self, delivery: Delivery) -> None:
        """Keep a message that failed too often, and why, in quarantine and as a dead letter."""
        why = self._why.pop(delivery.body, "whoever worked on it went away")
        detail = f"Given up after {MOST_TRIES} tries: {why}"
        text = delivery.body.decode(errors="backslashreplace")
        broken = Broken("events", None, Fault("too-many-tries", detail), text)
        rows = quarantine_table([broken], source=self._name, received=self._clock())
        await self._patiently(lambda: asyncio.to_thread(self._store.quarantine.put, rows))
        await self._bury("too-many-tries", "", detail, delivery.body)
        self.dead += 1
        self._count(Receipt(received=1, quarantined=1))

    async def _bury(self, reason: str, field: str, message: str, body: bytes) -> None:
        payload = body.decode(errors="backslashreplace")
        letter = {"reason": reason, "field": field, "message": message, "payload": payload}
        await self._source.bury(msgspec.json.encode(letter))

    async def _append(self, intake: Intake) -> Receipt:
        if not intake.rows.num_rows:
            return Receipt()
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
                if await self._ended(min(asked, LONGEST_WAIT)):
                    raise _StoppedError from error
                wait = min(wait * 2, LONGEST_WAIT)

    async def _ended(self, seconds: float) -> bool:
        """Wait, and return whether this is to end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), seconds)
        return self._end.is_set()

    def _count(self, receipt: Receipt) -> None:
        self.total += receipt
        for outcome in ("stored", "duplicate", "rejected", "quarantined"):
            self._events.labels(outcome).inc(getattr(receipt, outcome))

    async def _watch(self) -> None:
        while not self._end.is_set():
            try:
                self._lag.set(await asyncio.wait_for(self._source.lag(), LAG_TIMEOUT_SECONDS))
            except Exception as error:  # of any driver; the figure is not worth the work
                log.warning("stream lag unknown", reason=repr(error))
            await self._ended(LAG_SECONDS)

    async def _keep(self) -> None:
        """While the store is away the broker must not hand out to others what waits here."""
        while not await self._ended(KEEP_SECONDS):
            if held := self._held:
                try:
                    await self._source.keep(held)
                except Exception as error:  # of any driver: at worst it is stored twice, once
                    log.warning("stream cannot keep its messages", reason=str(error))


def _suspects(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return what is to be tried alone: from the first on, and at the last try from the last."""
    first = [d for d in deliveries if TOGETHER_TRIES < d.tries < MOST_TRIES]
    last = [d for d in deliveries if TOGETHER_TRIES < d.tries == MOST_TRIES]
    return [*first, *reversed(last)]

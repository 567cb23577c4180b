"""How validated events come in, from whichever door: durable first, then live, then an answer."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import pyarrow as pa

from endcap.events.store import Receipt, Remembered
from endcap.schema.errors import StoreError
from endcap.schema.stages import stage
from endcap.serve.intake import EVENT_ROWS, Context, Intake, take_one

if TYPE_CHECKING:
    from endcap.serve.runtime import Runtime

T = TypeVar("T")
FEW: Final = 16
"""So many rows are followed in no time: waiting for a turn would cost more."""
SILENCE_SECONDS: Final = 15.0
"""A network that swallows what is sent must not hold a client for longer: most give up at 30 s."""


async def collect(
    runtime: "Runtime",
    intake: Intake,
    *,
    key: str = "",
    remember: Callable[[Receipt], Remembered] | None = None,
) -> Receipt:
    """Store a batch and return the receipt of its good rows, once they are on disk and live.

    Parameters
    ----------
    key, remember
        The idempotency key and what is kept under it, in the same transaction.

    Raises
    ------
    StoreError
        Nothing of the batch was stored, and the live state has not changed; or the store is silent
        (see `durable`).
    """
    metrics = runtime.metrics
    try:
        if intake.quarantine.num_rows:
            await runtime.write(runtime.store.quarantine.put, intake.quarantine)
        stored = await _commit(runtime, intake, key, remember)
    except StoreError:
        metrics.count(Receipt(received=intake.received, rejected=intake.received))
        raise
    metrics.count(intake.receipt(stored))
    if FEW < intake.rows.num_rows <= runtime.live.inline_rows:
        async with runtime.turns.stored.turn():
            runtime.live.events_stored(intake.rows, stored)
    else:
        await follow(runtime, intake.rows, stored)
    return stored


async def follow(runtime: "Runtime", rows: pa.Table, stored: Receipt) -> None:
    """Have the live state follow rows that have just become durable."""
    if rows.num_rows <= runtime.live.inline_rows:
        runtime.live.events_stored(rows, stored)
    else:
        await runtime.arrive(runtime.live.events_stored, rows, stored)


async def durable(runtime: "Runtime", rows: pa.Table, stored: "Future[T]") -> T:
    """Return what the store says of rows, once they are on its disk.

    Raises
    ------
    StoreError
        When it says nothing for `SILENCE_SECONDS`: rows that still wait are taken back; those that
        are under way may be stored yet, and are then heard of as if another server had done it.
    """
    began = time.perf_counter()
    try:
        with runtime.metrics.waiting(rows.num_rows), stage("write"):
            async with asyncio.timeout(SILENCE_SECONDS):
                told = await asyncio.wrap_future(stored)
    except TimeoutError:
        stored.add_done_callback(lambda _: runtime.live.events_elsewhere(rows, repeats=True))
        raise StoreError(
            f"The store has said nothing for {SILENCE_SECONDS:g} s.",
            hint="Send it again with the same event_id: nothing is stored twice.",
        ) from None
    runtime.metrics.commit.observe(time.perf_counter() - began)
    return told


async def collect_one(runtime: "Runtime", event: Mapping[str, Any], *, source: str) -> Receipt:
    """Take in one event as ``POST /v1/events`` does, and return its whole receipt."""
    context = Context(runtime.live.now, source, runtime.settings.events)
    intake = take_one(EVENT_ROWS, msgspec.json.encode(event), context)
    return intake.receipt(await collect(runtime, intake))


async def _commit(
    runtime: "Runtime",
    intake: Intake,
    key: str,
    remember: Callable[[Receipt], Remembered] | None,
) -> Receipt:
    if not intake.rows.num_rows and not key:
        return Receipt()
    future = runtime.store.log.submit(intake.rows, key=key, remember=remember)
    return await durable(runtime, intake.rows, future)

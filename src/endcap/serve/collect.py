"""How validated events come in, from whichever door: durable first, then live, then an answer."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pyarrow as pa

from endcap.events.store import Receipt, Remembered
from endcap.schema.errors import StoreError
from endcap.schema.stages import stage
from endcap.serve.intake import EVENT_ROWS, Context, Intake, take_one

if TYPE_CHECKING:
    from endcap.serve.runtime import Runtime

T = TypeVar("T")


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
        Nothing of the batch was stored, and the live state has not changed.
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
    await follow(runtime, intake.rows, stored)
    return stored


async def follow(runtime: "Runtime", rows: pa.Table, stored: Receipt) -> None:
    """Have the live state follow rows that have just become durable."""
    if rows.num_rows <= runtime.live.inline_rows:
        runtime.live.events_stored(rows, stored)
    else:
        await runtime.arrive(runtime.live.events_stored, rows, stored)


async def durable(runtime: "Runtime", rows: int, stored: "Future[T]") -> T:
    """Return what the store says of rows, once they are on its disk."""
    began = time.perf_counter()
    with runtime.metrics.waiting(rows), stage("write"):
        told = await asyncio.wrap_future(stored)
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
    rows = intake.rows.num_rows
    if not rows and not key:
        return Receipt()
    future = runtime.store.log.submit(intake.rows, key=key, remember=remember)
    return await durable(runtime, rows, future)

"""How validated events come in, from whichever door: durable first, then live, then an answer."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from endcap.events.store import Receipt, Remembered
from endcap.schema.errors import StoreError
from endcap.schema.stages import stage
from endcap.serve.intake import EVENT_ROWS, Context, Intake, take_one
from endcap.serve.runtime import Runtime


async def collect(
    runtime: Runtime,
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
    if intake.rows.num_rows <= runtime.live.inline_rows:
        runtime.live.events_stored(intake.rows, stored)
    else:
        await runtime.run(runtime.live.events_stored, intake.rows, stored)
    return stored


async def collect_one(runtime: Runtime, event: Mapping[str, Any], *, source: str) -> Receipt:
    """Take in one event as ``POST /v1/events`` does, and return its whole receipt."""
    context = Context(runtime.live.now, source, runtime.settings.events)
    intake = take_one(EVENT_ROWS, msgspec.json.encode(event), context)
    return intake.receipt(await collect(runtime, intake))


async def _commit(
    runtime: Runtime,
    intake: Intake,
    key: str,
    remember: Callable[[Receipt], Remembered] | None,
) -> Receipt:
    rows = intake.rows.num_rows
    if not rows and not key:
        return Receipt()
    began = time.perf_counter()
    future = runtime.store.log.submit(intake.rows, key=key, remember=remember)
    with runtime.metrics.waiting(rows), stage("write"):
        stored = await asyncio.wrap_future(future)
    runtime.metrics.commit.observe(time.perf_counter() - began)
    return stored

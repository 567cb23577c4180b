"""``POST /v1/events``: nothing is acknowledged before it is on disk."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from endcap.schema.tables import EVENTS
from endcap.schema.trust import PROVABLE, claim
from endcap.serve.collect import collect
from endcap.serve.http.calls import Answer, Call
from endcap.serve.http.limiting import is_public, limit_doers
from endcap.serve.http.receiving import receipt_answer, receive
from endcap.serve.intake import EVENT_ROWS, Intake


async def post_event(call: Call) -> Answer:
    """Take one event."""
    return await _store(call, await receive(call, EVENT_ROWS, one=True))


async def post_events(call: Call) -> Answer:
    """Take a batch of events."""
    return await _store(call, await receive(call, EVENT_ROWS))


async def _store(call: Call, intake: Intake) -> Answer:
    limit_doers(call, intake)
    if is_public(call):
        intake = replace(intake, rows=claimed(intake.rows))
    remember = call.remembering(lambda stored: receipt_answer(202, intake, stored))
    stored = await collect(call.runtime, intake, key=call.key, remember=remember)
    return receipt_answer(202, intake, stored)


def claimed(rows: pa.Table) -> pa.Table:
    """Mark, in rows of schema `EVENTS`, what a shop's server would know and a browser claims."""
    if not pc.any(pc.is_in(rows["kind"], pa.array(sorted(PROVABLE)))).as_py():
        return rows
    pairs = zip(rows["kind"].to_pylist(), rows["properties"].to_pylist(), strict=True)
    marked = [claim(properties) if kind in PROVABLE else properties for kind, properties in pairs]
    at = EVENTS.get_field_index("properties")
    return rows.set_column(at, EVENTS.field(at), pa.array(marked, pa.string()))

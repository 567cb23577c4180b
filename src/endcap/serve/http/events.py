"""``POST /v1/events``: nothing is acknowledged before it is on disk."""

from dataclasses import replace

from endcap.schema.stages import traced
from endcap.serve.claims import claimed
from endcap.serve.collect import collect
from endcap.serve.http.calls import Answer, Call
from endcap.serve.http.limiting import is_public, limit_doer, limit_doers
from endcap.serve.http.receiving import read_row, receipt_answer, receive, whole_answer
from endcap.serve.intake import EVENT_ROWS, Intake


async def post_event(call: Call) -> Answer:
    """Take one event, with those that arrive in the same moment where that makes no difference."""
    with call.runtime.crowd.entered():
        row = read_row(call, EVENT_ROWS)
        if call.key or traced() or not row.get("event_id"):
            return await _store(call, await receive(call, EVENT_ROWS, one=True))
        together = call.runtime.together[is_public(call)]
        return whole_answer(202, *await together.take(row, call.body, limit_doer(call)))


async def post_events(call: Call) -> Answer:
    """Take a batch of events."""
    with call.runtime.crowd.entered():
        return await _store(call, await receive(call, EVENT_ROWS))


async def _store(call: Call, intake: Intake) -> Answer:
    limit_doers(call, intake)
    if is_public(call):
        intake = replace(intake, rows=claimed(intake.rows))
    remember = call.remembering(lambda stored: receipt_answer(202, intake, stored))
    stored = await collect(call.runtime, intake, key=call.key, remember=remember)
    return receipt_answer(202, intake, stored)

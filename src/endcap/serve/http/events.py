"""``POST /v1/events``: nothing is acknowledged before it is on disk."""

from endcap.serve.collect import collect
from endcap.serve.http.calls import Answer, Call
from endcap.serve.http.receiving import receipt_answer, receive
from endcap.serve.intake import EVENT_ROWS, Intake


async def post_event(call: Call) -> Answer:
    """Take one event."""
    return await _store(call, await receive(call, EVENT_ROWS, one=True))


async def post_events(call: Call) -> Answer:
    """Take a batch of events."""
    return await _store(call, await receive(call, EVENT_ROWS))


async def _store(call: Call, intake: Intake) -> Answer:
    remember = call.remembering(lambda stored: receipt_answer(202, intake, stored))
    stored = await collect(call.runtime, intake, key=call.key, remember=remember)
    return receipt_answer(202, intake, stored)

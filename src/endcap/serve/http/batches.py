"""Several slates in one request: each as if it were asked alone, one after the other."""

import asyncio
from typing import Any

import msgspec

from endcap.serve.http.batch_shapes import BatchIn, ResultOut
from endcap.serve.http.bodies import convert_row, decode_body
from endcap.serve.http.calls import Answer, Call
from endcap.serve.http.in_time import Deadline, answer_by, under_way
from endcap.serve.http.limiting import limit_asker, limit_askers
from endcap.serve.http.problems import ApiError, problem, refusal
from endcap.serve.http.recommendations import UNKEPT, asked, show
from endcap.serve.http.shapes import Ask

Read = Ask | ApiError
"""A request of a batch, or why it is none."""


async def post_batch(call: Call) -> Answer:
    """Answer up to a hundred requests in their order, by one deadline.

    Between two of them others have their turn. What each is answered is written as JSON at once:
    all together would hold up the event loop.
    """
    batch: BatchIn = decode_body(call.body, BatchIn)
    limit_askers(call, len(batch.requests))
    reads = [_read(row) for row in batch.requests]
    usual = call.runtime.settings.serve.timeout_ms
    longest = max(read.timeout_ms or usual if isinstance(read, Ask) else 0 for read in reads)
    with under_way(call.runtime):
        deadline = Deadline.of(call.runtime, batch.timeout_ms or longest)
        results = [await _result(call, read, deadline) for read in reads]
    return Answer(200, {"results": results}, UNKEPT)


def _read(row: Any) -> Read:
    try:
        ask: Ask = convert_row(row, Ask)
    except ApiError as error:
        return error
    return ask


async def _result(call: Call, read: Read, deadline: Deadline) -> msgspec.Raw:
    await asyncio.sleep(0)
    try:
        result = ResultOut(200, await _slate(call, read, deadline))
    except Exception as error:
        why = refusal(call.request, error)
        result = ResultOut(why.status, problem=problem(call.request, why))
    return msgspec.Raw(msgspec.json.encode(result))


async def _slate(call: Call, read: Read, deadline: Deadline) -> Any:
    if isinstance(read, ApiError):
        raise read
    limit_asker(call, read)
    kept = await answer_by(deadline, call.runtime, asked(call, read))
    return await show(call, kept, read)

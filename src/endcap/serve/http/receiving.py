"""What all routes share that take rows: validate, keep what is bad, answer with a receipt."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from endcap.events.store import Receipt
from endcap.events.validate import RowError
from endcap.events.validate.quarantine import printable
from endcap.serve.http.bodies import invalid, no_json
from endcap.serve.http.calls import Answer, Call
from endcap.serve.http.problems import ApiError, Fault
from endcap.serve.http.shapes import ReceiptOut
from endcap.serve.intake import (
    Context,
    Intake,
    Sort,
    TooManyRowsError,
    read_one,
    take_batch,
    take_one,
)

SMALL_BYTES: Final = 32_768
"""Up to this size (two hundred events, a millisecond's work) a body is validated on the event loop;
a larger one would hold up other requests."""


async def receive(call: Call, sort: Sort, *, one: bool = False) -> Intake:
    """Return the rows of the body, validated.

    Raises
    ------
    ApiError
        400 when it is no JSON, 422 when it has another shape, 413 when there are too many rows
        or a single one is too large.
    """
    if one:
        _check_size(call, sort)
    runtime = call.runtime
    context = Context(runtime.live.now, source_of(call), runtime.settings.events)
    take = take_one if one else take_batch
    with _told(sort):
        if len(call.body) <= SMALL_BYTES:
            async with runtime.turns.arriving.turn():
                return take(sort, call.body, context)
        return await runtime.arrive(take, sort, call.body, context)


def read_row(call: Call, sort: Sort) -> Mapping[str, Any]:
    """Return the single row that the body is, not validated yet; raises as `receive`."""
    _check_size(call, sort)
    with _told(sort):
        return read_one(call.body)


def source_of(call: Call) -> str:
    """Return where rows came from, for the quarantine."""
    return f"{call.request.method} {call.request.url.path}"


def _check_size(call: Call, sort: Sort) -> None:
    if len(call.body) > sort.max_bytes:
        detail = f"The body has {len(call.body)} bytes; one row may have {sort.max_bytes}."
        raise ApiError(413, "row-too-large", detail)


@contextmanager
def _told(sort: Sort) -> Iterator[None]:
    """Say as an `ApiError` what is wrong with a body."""
    try:
        yield
    except msgspec.ValidationError as error:
        raise invalid(error, sort.envelope) from error
    except TooManyRowsError as error:
        raise ApiError(413, "too-many-rows", str(error), hint="Send several batches.") from error
    except (ValueError, RecursionError) as error:
        raise no_json(error) from error


async def keep_bad(call: Call, intake: Intake) -> None:
    """Put what failed validation into the quarantine, durably."""
    if intake.quarantine.num_rows:
        await call.runtime.write(call.runtime.store.quarantine.put, intake.quarantine)


def receipt_answer(status: int, intake: Intake, stored: Receipt) -> Answer:
    """Return the answer to a batch whose good rows got the receipt `stored`."""
    return whole_answer(status, intake.receipt(stored), intake.errors)


def whole_answer(status: int, whole: Receipt, errors: Sequence[RowError]) -> Answer:
    """Return the answer to rows of which `whole` became."""
    body = ReceiptOut(
        whole.received,
        whole.stored,
        whole.duplicate,
        whole.rejected,
        whole.quarantined,
        [_fault(error) for error in errors],
    )
    return Answer(status, body)


def _fault(error: RowError) -> Fault:
    event_id = None if error.event_id is None else printable(error.event_id)
    return Fault(error.message, error.reason, error.field or None, error.index, event_id)

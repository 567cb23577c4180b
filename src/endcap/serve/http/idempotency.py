"""Doing a write once, however often a nervous client sends it.

After Stripe's `Idempotency-Key`: the same key and the same request get the same answer again; the
same key with another request is refused; a request still running, in whichever worker or replica,
is a conflict. Answers are kept in the store; those to events in the transaction that stores the
events, so that they survive a crash between commit and answer. Failures are not kept: nothing was
done, so it may be tried again.
"""

import asyncio
import hashlib
import re
from typing import Final

from endcap.schema.tables import EVENTS
from endcap.serve.http.calls import Answer, Call, Handler
from endcap.serve.http.problems import ApiError, Fault

HEADER: Final = "idempotency-key"
REPLAYED: Final = {"idempotent-replayed": "true"}
KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


async def once(call: Call, content: bytes, handler: Handler) -> Answer:
    """Let `handler` answer, or replay what was answered under the key of the request.

    Raises
    ------
    ApiError
        409 while a request with this key is running; 422 when the key is malformed or was used
        for another request.
    """
    key = call.request.headers.get(HEADER)
    if key is None:
        return await handler(call)
    call.key, call.body_hash = _checked(key), _hash(call, content)
    running, store = call.runtime.running, call.runtime.store
    if key in running:
        _refuse_other(running[key], call)
        raise _still_running(key)
    running[key] = call.body_hash
    try:
        if not await call.runtime.run(store.reserve, key):
            raise _still_running(key)
        try:
            known = await call.runtime.run(store.recall, key)
            if known:
                _refuse_other(known.body_hash, call)
                return Answer(known.status, known.answer, REPLAYED)
            return await handler(call)
        finally:
            await call.runtime.run(store.release, key)
    finally:
        del running[key]


async def remember(call: Call, answer: Answer) -> Answer:
    """Keep the answer to a write that has no events in it, under its key, and return it."""
    keep = call.remembering(lambda _: answer)
    if keep:
        nothing = EVENTS.empty_table()
        await asyncio.wrap_future(
            call.runtime.store.log.submit(nothing, key=call.key, remember=keep)
        )
    return answer


def _checked(key: str) -> str:
    if KEY.fullmatch(key):
        return key
    what = "An Idempotency-Key has 1 to 255 visible ASCII characters."
    fault = Fault(what, "bad-key", field="Idempotency-Key")
    raise ApiError(422, "invalid-request", what, errors=[fault])


def _still_running(key: str) -> ApiError:
    """Return the answer to a key that somebody works on, here or in another process."""
    headers = {"retry-after": "1"}
    detail = f"A request with the key {key!r} is still running."
    return ApiError(409, "still-running", detail, hint="Try again.", headers=headers)


def _refuse_other(body_hash: str, call: Call) -> None:
    if body_hash != call.body_hash:
        detail = f"The key {call.key!r} was used for another request."
        raise ApiError(422, "key-reused", detail, hint="Take a new key for a new request.")


def _hash(call: Call, content: bytes) -> str:
    said = f"{call.request.method} {call.request.url.path}\n".encode()
    return hashlib.sha256(said + content).hexdigest()

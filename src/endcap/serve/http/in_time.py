"""A slate in time: what takes too long the catalogue answers, what is too much is refused."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Self

from endcap.recommend.recommender import Recommender
from endcap.recommend.replaying.witness import Witness
from endcap.recommend.slate import Request
from endcap.schema.stages import stage
from endcap.serve.answered import Kept, answer, witness_of
from endcap.serve.http.problems import ApiError
from endcap.serve.runtime import Runtime

Seen = tuple[Recommender, Witness]


@dataclass(frozen=True, slots=True)
class Deadline:
    """When whoever waits has waited long enough.

    Attributes
    ----------
    milliseconds
        For how long in all.
    at
        In seconds of the event loop's clock.
    """

    milliseconds: int
    at: float

    @classmethod
    def of(cls, runtime: Runtime, timeout_ms: int) -> Self:
        """Return the one that begins now (0: as long as the settings say)."""
        milliseconds = timeout_ms or runtime.settings.serve.timeout_ms
        return cls(milliseconds, asyncio.get_running_loop().time() + milliseconds / 1000)


@contextmanager
def under_way(runtime: Runtime) -> Iterator[None]:
    """Take one of the places of those whose slates are made, one after the other for each.

    Raises
    ------
    ApiError
        503 when as many are under way as may be. Events are never refused for their sake.
    """
    if runtime.slates >= runtime.settings.serve.waiting_slates:
        runtime.misses.refused(under_way=runtime.slates)
        detail = f"{runtime.slates} slates are under way already."
        raise ApiError(503, "overloaded", detail, hint="Try again.", headers={"retry-after": "1"})
    runtime.slates += 1
    try:
        yield
    finally:
        runtime.slates -= 1


async def answer_in_time(runtime: Runtime, request: Request, timeout_ms: int) -> Kept:
    """Answer a request within `timeout_ms` (0: as the settings say), however.

    Raises
    ------
    ApiError
        As `under_way`.
    """
    with under_way(runtime):
        return await answer_by(Deadline.of(runtime, timeout_ms), runtime, request)


async def answer_by(deadline: Deadline, runtime: Runtime, request: Request) -> Kept:
    """Answer a request of somebody who is under way, at the deadline from memory alone.

    Slow is the store or a queue; the catalogue is in memory. What still waits in the queue at its
    deadline is taken out, so that nobody works for those who have left.
    """
    runtime.asked_at = time.monotonic()
    try:
        async with asyncio.timeout_at(deadline.at):
            return await _answered(runtime, request)
    except TimeoutError:
        runtime.misses.late(placement=request.placement, timeout_ms=deadline.milliseconds)
        return _stopgap(runtime, request, deadline.milliseconds)


async def _answered(runtime: Runtime, request: Request) -> Kept:
    """Read in a thread, where anything has to be read, and answer where it costs least."""
    place = request.placement
    quick = runtime.turns.is_quick(place) and not request.prices
    if not quick:
        return await runtime.run(lambda: _measured(runtime, request, _look(runtime, request)))
    seen = _at_hand(runtime, request)
    if seen is None:
        seen = await runtime.read(_look, runtime, request)
    async with AsyncExitStack() as stack:
        with stage("wait"):
            await stack.enter_async_context(runtime.turns.slates.turn())
        return _measured(runtime, request, seen)


def _at_hand(runtime: Runtime, request: Request) -> Seen | None:
    """Return what can be seen without waiting for anybody."""
    recommender = runtime.recommender.at_hand
    if recommender is None:
        return None
    asked = recommender.asks(request)
    if asked.where or not runtime.live.at_hand(asked.who, asked.words, shown=asked.shown):
        return None
    return recommender, witness_of(runtime.live, asked)


def _look(runtime: Runtime, request: Request) -> Seen:
    with stage("read"):
        recommender = runtime.recommender.current
        return recommender, witness_of(runtime.live, recommender.asks(request))


def _measured(runtime: Runtime, request: Request, seen: Seen) -> Kept:
    began = time.thread_time()
    recommender, witness = seen
    kept = answer(recommender, request, witness)
    if request.placement in recommender.placements:
        runtime.turns.took(request.placement, time.thread_time() - began)
    return kept


def _stopgap(runtime: Runtime, request: Request, milliseconds: int) -> Kept:
    """Answer from memory alone: what may be shown, newest first, for nobody in particular."""
    nobody = request.model_copy(update={"user_id": None, "visitor_id": None})
    late = f"not answered within {milliseconds} ms"
    recommender = runtime.recommender.current.alone(late)
    return answer(recommender, nobody, Witness(runtime.live, wait=False))

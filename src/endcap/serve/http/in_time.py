"""A slate in time: what takes too long the catalogue answers, what is too much is refused."""

import asyncio

from endcap.recommend.slate import Request
from endcap.serve.answered import Kept, answer
from endcap.serve.http.problems import ApiError
from endcap.serve.runtime import Runtime


async def answer_in_time(runtime: Runtime, request: Request, timeout_ms: int) -> Kept:
    """Answer a request within `timeout_ms` (0: as the settings say), however.

    Slow is the store or a queue; the catalogue is in memory. What still waits in the queue at its
    deadline is taken out, so that nobody works for those who have left.

    Raises
    ------
    ApiError
        503 when as many slates are under way as may be. Events are never refused for their sake.
    """
    told = runtime.settings.serve
    if runtime.slates >= told.waiting_slates:
        detail = f"{runtime.slates} slates are under way already."
        raise ApiError(503, "overloaded", detail, hint="Try again.", headers={"retry-after": "1"})
    milliseconds = timeout_ms or told.timeout_ms
    runtime.slates += 1
    try:
        work = runtime.run(_answer, runtime, request)
        return await asyncio.wait_for(work, milliseconds / 1000)
    except TimeoutError:
        return _stopgap(runtime, request, milliseconds)
    finally:
        runtime.slates -= 1


def _answer(runtime: Runtime, request: Request) -> Kept:
    return answer(runtime.recommender.current, request, runtime.live)


def _stopgap(runtime: Runtime, request: Request, milliseconds: int) -> Kept:
    """Answer from memory alone: what may be shown, newest first, for nobody in particular."""
    nobody = request.model_copy(update={"user_id": None, "visitor_id": None})
    late = f"not answered within {milliseconds} ms"
    return answer(runtime.recommender.current.alone(late), nobody, runtime.live)

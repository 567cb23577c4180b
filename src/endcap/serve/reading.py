"""Short reads for the event loop: many at once cost it one thread and one word back.

Handing work to a thread and hearing of its end costs more than reading a history does. Under load
reads pile up anyway; so one thread takes all that wait, and tells the loop of several together.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeVar

T = TypeVar("T")
STUCK_S: Final = 0.02
"""A read that takes longer holds up those behind it no more: another thread takes them."""
TOLD_TOGETHER: Final = 8
"""The first of a long row need not wait for the last."""


class _Read(NamedTuple):
    work: Callable[[], Any]
    answer: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop


class Desk:
    """Where an event loop leaves what it wants read.

    Parameters
    ----------
    pool
        Whose threads read; it is somebody else's to end.
    threads
        As many of them at most.

    Stability: caller.
    """

    def __init__(self, pool: ThreadPoolExecutor, threads: int) -> None:
        self._pool, self._threads = pool, threads
        self._guard = threading.Lock()
        self._waiting: deque[_Read] = deque()
        self._busy = 0
        self._taken_at = 0.0

    async def read(self, work: Callable[[], T]) -> T:
        """Do `work` in a thread and return what it returns; not done at all once cancelled."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        with self._guard:
            self._waiting.append(_Read(work, answer, loop))
            stuck = self._busy < self._threads and time.monotonic() - self._taken_at > STUCK_S
            more = self._busy == 0 or stuck
            self._busy += more
        if more:
            self._pool.submit(self._serve)
        return await answer

    def _serve(self) -> None:
        done: list[tuple[_Read, Any, BaseException | None]] = []
        while (one := self._next()) is not None:
            if not one.answer.cancelled():
                try:
                    done.append((one, one.work(), None))
                except BaseException as error:  # it is whoever asked who has to know
                    done.append((one, None, error))
            if len(done) >= TOLD_TOGETHER or not self._waiting:
                _tell(done)
                done = []
        _tell(done)  # another thread took what seemed to be next

    def _next(self) -> _Read | None:
        with self._guard:
            self._taken_at = time.monotonic()
            if self._waiting:
                return self._waiting.popleft()
            self._busy -= 1
            return None


def _tell(done: list[tuple[_Read, Any, BaseException | None]]) -> None:
    if not done:
        return
    try:
        done[0][0].loop.call_soon_threadsafe(_settle, done)
    except RuntimeError:  # the loop has ended, and nobody waits any more
        return


def _settle(done: list[tuple[_Read, Any, BaseException | None]]) -> None:
    for one, found, error in done:
        if one.answer.done():
            continue
        if error is None:
            one.answer.set_result(found)
        else:
            one.answer.set_exception(error)

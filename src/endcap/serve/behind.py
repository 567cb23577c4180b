"""Work that may wait, and may be dropped, but must not hold up an answer."""

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import structlog

T = TypeVar("T")
MOST_AT_ONCE: Final = 200
FEW_AT_ONCE: Final = 16
"""What comes in one moment is written a few at a time: each write takes the interpreter from those
who answer, for milliseconds."""
CROWDED: Final = 64
"""When so many wait, writing many at once matters more: it is cheaper."""
LINGER_SECONDS: Final = 0.05
"""For what nobody waits for, as slates that were answered."""
log = structlog.get_logger(__name__)


class Behind(Generic[T]):
    """A bounded queue and one thread that empties it, many at once.

    Parameters
    ----------
    name
        Of the thread, and of what is written, for the log.
    write
        Told what has come, in order; what it raises is logged, and the thread goes on.
    room
        Most that wait.
    linger_seconds
        How long the first of a batch waits for more to come, unless somebody waits for it: one
        write of many is cheaper than many.
    every_seconds, idle
        `idle` is called before the first write and after so many seconds without any, and before
        each write; None is never called.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[T]], object],
        *,
        room: int,
        linger_seconds: float = 0.0,
        idle: Callable[[], object] | None = None,
        every_seconds: float | None = None,
    ) -> None:
        self._name, self._write, self._idle, self._every = name, write, idle, every_seconds
        self._linger = linger_seconds
        self._hurry = threading.Event()
        self._queue: queue.Queue[T | None] = queue.Queue(room)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, one: T) -> bool:
        """Queue one; returns at once, False when there is no room."""
        try:
            self._queue.put_nowait(one)
        except queue.Full:
            return False
        return True

    def flush(self) -> None:
        """Wait until everything queued so far has been written or dropped."""
        self._hurry.set()
        self._queue.join()
        self._hurry.clear()

    def close(self, timeout: float = 5.0) -> None:
        """Write what is queued, within `timeout` seconds, and end the thread."""
        self._hurry.set()
        try:
            self._queue.put(None, timeout=timeout)
        except queue.Full:
            log.warning("left behind", what=self._name, count=self._queue.qsize())
        self._thread.join(timeout)

    def _run(self) -> None:
        ended = False
        while not ended:
            if self._idle is not None:
                self._idle()
            try:
                batch = [self._queue.get(timeout=self._every)]
            except queue.Empty:
                continue
            crowded = self._queue.qsize() >= CROWDED
            if self._linger and not crowded:
                self._hurry.wait(self._linger)
            most = MOST_AT_ONCE if crowded or not self._linger else FEW_AT_ONCE
            while len(batch) < most and not self._queue.empty():
                batch.append(self._queue.get_nowait())  # nobody else takes from it
            ended = None in batch
            self._written([one for one in batch if one is not None])
            for _ in batch:
                self._queue.task_done()

    def _written(self, batch: list[T]) -> None:
        try:
            if batch:
                self._write(batch)
        except Exception:  # what cannot be written down must not end the thread
            log.exception("not written", what=self._name, count=len(batch))

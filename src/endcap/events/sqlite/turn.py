"""Whose turn it is to write, fairly, among all processes that share a folder.

SQLite lets writers collide and poll; whoever commits in a tight loop (an import) then starves
whoever does not (a server). Here a writer first takes its place in the queue, then waits for the
pen while it keeps that place: the one who just wrote cannot overtake it. The kernel drops both
locks with their process, however it dies.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from endcap.schema.errors import BusyError, StoreError

if sys.platform == "win32":  # pragma: no cover - SQLite's own lock still keeps writers apart

    def _try_lock(file: IO[bytes]) -> bool:
        return True

    def _unlock(file: IO[bytes]) -> None:
        return

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


POLL_SECONDS: Final = 0.0005


class WriteTurn:
    """A lock between processes (and between stores of one process) that nobody can overtake.

    Parameters
    ----------
    folder
        Where the two lock files lie.
    timeout
        Seconds to wait before giving up.

    Raises
    ------
    StoreError
        When the folder takes no files.
    """

    def __init__(self, folder: Path, *, timeout: float) -> None:
        self._timeout = timeout
        with ExitStack() as files:
            self._place = files.enter_context(lock_file(folder / "events.place.lock"))
            self._pen = files.enter_context(lock_file(folder / "events.pen.lock"))
            self._files = files.pop_all()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold the pen.

        Raises
        ------
        BusyError
            When another process kept it for longer than `timeout`.
        """
        deadline = time.monotonic() + self._timeout
        self._lock(self._place, deadline)
        try:
            self._lock(self._pen, deadline)
        finally:
            _unlock(self._place)
        try:
            yield
        finally:
            _unlock(self._pen)

    def close(self) -> None:
        """Let go of the lock files."""
        self._files.close()

    def _lock(self, file: IO[bytes], deadline: float) -> None:
        while not _try_lock(file):
            if time.monotonic() > deadline:
                raise BusyError(
                    f"Another process kept the store for {self._timeout:g} s.",
                    hint="Nothing was stored; try again.",
                )
            time.sleep(POLL_SECONDS)


def lock_file(path: Path) -> IO[bytes]:
    """Open a file to lock, and make it where there is none; raises `StoreError`."""
    try:
        return path.open("ab")
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error

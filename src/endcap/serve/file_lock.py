"""One at a time, over the threads of a process and the processes of a machine."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from typing import IO, Any


class FileLock:
    """A lock that lies on an open file; it ends with the process that holds it.

    Parameters
    ----------
    file
        Open as long as the lock is used; somebody else's to close.
    """

    def __init__(self, file: IO[Any] | FileIO) -> None:
        self._file = file
        self._guard = threading.Lock()  # a file lock does not keep the threads of a process apart

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it until the block ends."""
        with self._guard:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

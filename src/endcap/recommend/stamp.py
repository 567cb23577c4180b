"""A number that every process of a machine sees move, at the cost of a look into memory."""

import mmap
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

_NUMBER: Final = struct.Struct("<Q")


class Stamp:
    """Eight bytes of a file that all who look at it map; a look is no call to the system.

    Parameters
    ----------
    path
        Made where its folder is there; until it can be, the number is 0.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._memory: mmap.mmap | None = None
        if path.parent.is_dir():
            self._map()

    def read(self) -> int:
        """Return the number."""
        if self._memory is None and self._path.exists():  # somebody made it meanwhile
            self._map()
        return 0 if self._memory is None else int(_NUMBER.unpack_from(self._memory)[0])

    def move(self) -> None:
        """Let the number be another one; two who move it at once may move it by one alone.

        Raises
        ------
        OSError
            When the file cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        memory = self._memory or self._opened()
        self._memory = memory
        _NUMBER.pack_into(memory, 0, (self.read() + 1) % 2**64)

    def _map(self) -> None:
        with suppress(OSError):  # a folder that cannot be written is not edited either
            self._memory = self._opened()

    def _opened(self) -> mmap.mmap:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if os.fstat(handle).st_size < _NUMBER.size:
                os.truncate(handle, _NUMBER.size)
            return mmap.mmap(handle, _NUMBER.size)
        finally:
            os.close(handle)

"""Idempotency keys as locks on single bytes of a file that stays empty."""

import struct
import sys
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final

from endcap.events.sql.reservations import Reservations
from endcap.events.sqlite.turn import lock_file

_FLOCK: Final = struct.Struct("hhqqi")
"""``struct flock`` of 64 bits: type, whence, start, length, process."""


class FileReservations(Reservations):
    """Reserves among the processes (and the stores of one process) that share a folder.

    Parameters
    ----------
    folder
        Where the file lies; it is opened for the first key.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._path = folder / "events.keys.lock"
        self._file: IO[bytes] | None = None

    def lock(self, key: str) -> bool:
        """See `Reservations.lock`; keys meet in one byte of 2^62 as good as never.

        Raises
        ------
        StoreError
            When the folder takes no files.
        """
        if self._file is None:
            self._file = lock_file(self._path)
        return _lock(self._file.fileno(), _place(key))

    def unlock(self, key: str) -> None:
        """See `Reservations.unlock`."""
        assert self._file is not None
        _unlock(self._file.fileno(), _place(key))

    def close(self) -> None:
        """See `Reservations.close`."""
        if self._file is not None:
            self._file.close()


def _place(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little") >> 2


if sys.platform == "linux":
    import fcntl

    def _lock(file: int, place: int) -> bool:
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, 0, place, 1, 0))
        except BlockingIOError:
            return False
        return True

    def _unlock(file: int, place: int) -> None:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_UNLCK, 0, place, 1, 0))

elif sys.platform == "win32":  # pragma: no cover - there a server is one process

    def _lock(file: int, place: int) -> bool:
        return True

    def _unlock(file: int, place: int) -> None:
        return

else:  # pragma: no cover - between processes only
    import fcntl

    def _lock(file: int, place: int) -> bool:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError:
            return False
        return True

    def _unlock(file: int, place: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, place)

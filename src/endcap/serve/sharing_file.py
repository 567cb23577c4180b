"""Word for running servers from whoever else writes to a shop: imports and stream workers.

The ring of `LocalBus` in a file of the shop's folder, read and written rather than mapped: it
outlives every process, costs its readers one short read a time, and a full disk is an error here
and not the end of the process.
"""

import os
import tempfile
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from endcap.serve.sharing import BusError, Change
from endcap.serve.sharing_local import HEADER, RING_BYTES, LocalBus, Memory

FILE_NAME: Final = "live.ring"


class FileBus(LocalBus):
    """A `LiveBus` over a file that is made where there is none.

    Parameters
    ----------
    folder
        The shop's.

    Raises
    ------
    OSError
        When the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / FILE_NAME
        if not path.exists():
            _make(path)
        super().__init__(path)

    def publish(self, change: Change) -> None:
        """See `LiveBus.publish`."""
        try:
            super().publish(change)
        except OSError as error:
            raise BusError(f"{self._file.name}: {error.strerror}") from error

    def forget(self) -> None:
        """See `LiveBus.forget`."""
        try:
            super().forget()
        except OSError as error:
            raise BusError(f"{self._file.name}: {error.strerror}") from error

    def catch_up(self) -> list[Change] | None:
        """See `LiveBus.catch_up`; what cannot be read is gone."""
        try:
            return super().catch_up()
        except (OSError, msgspec.MsgspecError):
            return None

    def _memory(self) -> Memory:
        return _FileMemory(self._file)


class _FileMemory:
    """The bytes of a file, by place."""

    def __init__(self, file: BinaryIO) -> None:
        self._number = file.fileno()
        self._size = os.fstat(self._number).st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice) -> bytes:
        start, stop, _ = place.indices(self._size)
        return os.pread(self._number, stop - start, start)

    def __setitem__(self, place: slice, content: bytes) -> None:
        start = place.start or 0
        while content:
            written = os.pwrite(self._number, content, start)
            start, content = start + written, content[written:]

    def close(self) -> None:
        """See `Memory.close`."""


def _make(path: Path) -> None:
    """Make the file whole before it has its name; of two that do, one stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        os.truncate(handle, HEADER + RING_BYTES)
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        os.close(handle)
        Path(draft).unlink()

"""A bus between the workers of one machine: a ring of bytes in a file that all of them map.

A reader looks at one number in shared memory, which costs less than a microsecond; only when it
has moved does it take the lock and read. Writers take the lock, so that a worker that dies while
it writes leaves nothing half said: the number moves last.
"""

import mmap
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import msgspec

from endcap.serve.file_lock import FileLock
from endcap.serve.sharing import Change

RING_BYTES: Final = 8 << 20
POLL_SECONDS: Final = 0.02
"""How soon others see what nobody asks about: a history is caught up with on every request."""
HEADER: Final = 16
"""The end of what was written, u64, on a cache line of its own."""
_LENGTH: Final = struct.Struct("<I")
_END: Final = struct.Struct("@Q")


class Memory(Protocol):
    """The bytes of a ring."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: slice, /) -> bytes: ...

    def __setitem__(self, place: slice, content: bytes, /) -> None: ...

    def close(self) -> None:
        """Let go of them."""


class LocalBus:
    """A `LiveBus` over a file, for processes that share a kernel.

    Parameters
    ----------
    path
        Made by `make_ring`.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b", buffering=0)
        self._ring = self._memory()
        self._room = len(self._ring) - HEADER
        self._lock = FileLock(self._file)
        self._seen = -1

    def _memory(self) -> Memory:
        return mmap.mmap(self._file.fileno(), 0)

    def publish(self, change: Change) -> None:
        """See `LiveBus.publish`; what is too large for the ring has everybody read again."""
        said = msgspec.msgpack.encode(change)
        if len(said) > self._room // 4:
            said = msgspec.msgpack.encode(Change("reload", sender=change.sender))
        record = _LENGTH.pack(len(said)) + said
        with self._lock.held():
            end = self._end()
            self._put(end % self._room, record)
            self._ring[: _END.size] = _END.pack(end + len(record))

    def catch_up(self) -> list[Change] | None:
        """See `LiveBus.catch_up`."""
        if self._end() == self._seen:
            return []
        with self._lock.held():
            seen, end = self._seen, self._end()
            self._seen = end
            if seen < 0 or end - seen > self._room:
                return None
            news = self._take(seen % self._room, end - seen)
        if not any(news[: _LENGTH.size]):  # it was forgotten meanwhile
            return None
        return list(_records(news))

    def wait(self, seconds: float) -> None:
        """See `LiveBus.wait`."""
        deadline = time.monotonic() + seconds
        while self._end() == self._seen and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def forget(self) -> None:
        """See `LiveBus.forget`; who has read all notices nothing."""
        with self._lock.held():
            self._ring[HEADER : HEADER + self._room] = bytes(self._room)

    def close(self) -> None:
        """See `LiveBus.close`."""
        self._ring.close()
        self._file.close()

    def _end(self) -> int:
        end: int = _END.unpack(self._ring[: _END.size])[0]
        return end

    def _put(self, at: int, record: bytes) -> None:
        first = record[: self._room - at]
        self._ring[HEADER + at : HEADER + at + len(first)] = first
        self._ring[HEADER : HEADER + len(record) - len(first)] = record[len(first) :]

    def _take(self, at: int, length: int) -> bytes:
        first = self._ring[HEADER + at : HEADER + min(at + length, self._room)]
        return first + self._ring[HEADER : HEADER + length - len(first)]


def make_ring(path: Path, size: int = RING_BYTES) -> None:
    """Make the file of a bus, empty."""
    with path.open("xb") as file:
        os.truncate(file.fileno(), HEADER + size)


def _records(news: bytes) -> Iterator[Change]:
    at = 0
    while at < len(news):
        (length,) = _LENGTH.unpack_from(news, at)
        at += _LENGTH.size
        yield msgspec.msgpack.decode(news[at : at + length], type=Change)
        at += length

"""Where the workers of one server count requests together: a table in memory that they all map.

A storage of the library `limits`, for its sliding windows.
"""

import mmap
import os
import struct
import time
from collections.abc import Callable
from hashlib import blake2b
from math import floor
from pathlib import Path
from typing import Final, NamedTuple

from endcap.serve.file_lock import FileLock
from endcap.serve.rates_base import SlidingCounts, Windows

SLOTS: Final = 1 << 16
"""Keys and shoppers of a minute that are counted one by one, over all workers (2 MiB)."""
PROBES: Final = 8
_SLOT: Final = struct.Struct("<QQII8x")


class _Count(NamedTuple):
    name: int
    window: int
    current: int
    previous: int

    def at(self, window: int) -> "_Count":
        """Return the count as it is in a later window."""
        if window <= self.window:
            return self
        return _Count(self.name, window, 0, self.current if window == self.window + 1 else 0)


class SharedCounts(SlidingCounts):
    """Counts in a file that processes of one machine map; see `make_counts`.

    A table of fixed size: who has not come for two windows makes room, and where many come at
    once, whoever has come least.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._file = path.open("r+b", buffering=0)
        self._table = mmap.mmap(self._file.fileno(), 0)
        self._slots = len(self._table) // _SLOT.size
        self._lock = FileLock(self._file)
        self._clock = clock

    def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        """Count `amount` more, unless that is more than `limit` in the last `expiry` seconds."""
        now = self._clock()
        with self._lock.held():
            place, count = self._find(key, int(now // expiry))
            before = floor(count.previous * (1 - now / expiry % 1))
            if before + count.current + amount > limit:
                return False
            more = count._replace(current=count.current + amount)
            _SLOT.pack_into(self._table, place * _SLOT.size, *more)
            return True

    def get_sliding_window(self, key: str, expiry: int) -> Windows:
        """Return what was counted."""
        now = self._clock()
        with self._lock.held():
            _, count = self._find(key, int(now // expiry))
        left = (1 - now / expiry % 1) * expiry
        return count.previous, left if count.previous else 0.0, count.current, left + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget what was counted."""
        with self._lock.held():
            place, _ = self._find(key, int(self._clock() // expiry))
            _SLOT.pack_into(self._table, place * _SLOT.size, 0, 0, 0, 0)

    def close(self) -> None:
        """Let go of the file."""
        self._table.close()
        self._file.close()

    def _find(self, key: str, window: int) -> tuple[int, _Count]:
        """Return the slot of a key, or one that it may have, and what it has counted."""
        name = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little") | 1
        places = [(name + step) % self._slots for step in range(PROBES)]
        counts = [_Count(*_SLOT.unpack_from(self._table, p * _SLOT.size)) for p in places]
        for place, count in zip(places, counts, strict=True):
            if count.name == name:
                return place, count.at(window)
        least = min(range(PROBES), key=lambda n: _weight(counts[n].at(window)))
        return places[least], _Count(name, window, 0, 0)


def _weight(count: _Count) -> int:
    return count.current + count.previous if count.name else -1


def make_counts(path: Path, slots: int = SLOTS) -> None:
    """Make the file of `SharedCounts`, empty."""
    with path.open("xb") as file:
        os.truncate(file.fileno(), slots * _SLOT.size)

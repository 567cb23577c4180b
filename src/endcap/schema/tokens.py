"""Names that nobody else has: random, and in the order of time where a store looks them up."""

import os
import threading
import time
from typing import Final

POOL_BYTES: Final = 4096
"""Randomness fetched at once: asking the system for each name costs more than the name."""


def token(size: int = 8) -> str:
    """Return so many random bytes as hexadecimal digits."""
    return _pool.take(size).hex()


def dated_token() -> str:
    """Return 24 hexadecimal digits: the milliseconds of now, then 52 random bits.

    What is named one after the other lies together in an index, as with UUID version 7.
    """
    return f"{time.time_ns() // 1_000_000:011x}{_pool.take(7).hex()[:13]}"


class _Pool:
    """Random bytes, none given twice; safe to share between threads, and renewed by a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes, self._at = b"", 0

    def take(self, size: int) -> bytes:
        with self._lock:
            if self._at + size > len(self._bytes):
                self._bytes, self._at = os.urandom(POOL_BYTES), 0
            self._at += size
            return self._bytes[self._at - size : self._at]

    def renew(self) -> None:
        self._lock = threading.Lock()
        self._bytes, self._at = b"", 0


_pool: Final = _Pool()
os.register_at_fork(after_in_child=_pool.renew)

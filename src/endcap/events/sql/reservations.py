"""Idempotency keys that a process works on, so that no other does at the same moment.

Nothing is written: a reservation is a lock that ends with its process, however that dies.
"""

import threading
from abc import ABC, abstractmethod


class Reservations(ABC):
    """Keys reserved by one store; safe to share between threads."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._guard = threading.Lock()

    def reserve(self, key: str) -> bool:
        """See `Store.reserve`."""
        with self._guard:
            if key in self._held or not self.lock(key):
                return False
            self._held.add(key)
            return True

    def release(self, key: str) -> None:
        """See `Store.release`."""
        with self._guard:
            if key in self._held:
                self._held.discard(key)
                self.unlock(key)

    @abstractmethod
    def lock(self, key: str) -> bool:
        """Keep other processes from `key`; return whether none of them has it."""

    @abstractmethod
    def unlock(self, key: str) -> None:
        """Let others have `key`."""

    @abstractmethod
    def close(self) -> None:
        """Let others have all."""

"""What was answered under an idempotency key."""

from collections.abc import Callable
from typing import Final

from endcap.events.sql.backend import Readers, Session
from endcap.events.store import Remembered

KEEP_SECONDS: Final = 48 * 3600
"""Twice what is promised."""
PURGE_SECONDS: Final = 3600


class Answers:
    """Answers by key, kept for two days.

    Parameters
    ----------
    readers
        What reads.
    clock
        Seconds since 1970.
    """

    def __init__(self, readers: Readers, clock: Callable[[], float]) -> None:
        self._readers = readers
        self._clock = clock
        self._purged = -float("inf")

    def keep(self, connection: Session, key: str, answer: Remembered) -> None:
        """Remember an answer in the current transaction; the first one under a key stays."""
        now = self._clock()
        if now - self._purged > PURGE_SECONDS:
            connection.execute("DELETE FROM answers WHERE created < ?", (now - KEEP_SECONDS,))
            self._purged = now
        connection.execute(
            "INSERT INTO answers (key, body_hash, status, answer, created) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
            (key, *answer, int(now)),
        )

    def recall(self, key: str) -> Remembered | None:
        """Return what was answered under `key`."""
        with self._readers.lend() as connection:
            row = connection.execute(
                "SELECT body_hash, status, answer FROM answers WHERE key = ?", (key,)
            ).fetchone()
        return Remembered(*row) if row else None

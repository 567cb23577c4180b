"""The embedded store: one SQLite file in one folder, shared by any number of processes."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable

from endcap.events.sqlite import counters, faults
from endcap.events.sqlite.answers import Answers
from endcap.events.sqlite.catalogue import SQLiteCatalogue
from endcap.events.sqlite.committer import Committer
from endcap.events.sqlite.engine import BUSY_SECONDS, Durability, Readers
from endcap.events.sqlite.log import SQLiteEventLog
from endcap.events.sqlite.quarantine import SQLiteQuarantine
from endcap.events.sqlite.writer import Writer
from endcap.events.store import Receipt, Remembered
from endcap.schema.errors import StoreError
from endcap.schema.settings import StoreSettings


class SQLiteStore:
    """A `Store` in ``settings.folder / "events.db"``.

    Safe to use from many threads: readers have connections of their own, and all writes pass
    through one committing thread. Other processes may open the same folder at the same time.

    Parameters
    ----------
    settings
        Where, and how many rows may wait for their commit.
    durability
        ``"full"``: what is acknowledged has been fsynced. Tests use less to see what it costs.
    busy_seconds
        How long to wait for another process that writes.
    clock
        Seconds since 1970, for the age of remembered answers.

    Attributes
    ----------
    log, catalogue, quarantine
        See `Store`.

    Raises
    ------
    StoreError
        When the database is damaged, of a newer version, or its folder cannot be used.
    """

    def __init__(
        self,
        settings: StoreSettings,
        *,
        durability: Durability = "full",
        busy_seconds: float = BUSY_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._writer = Writer(settings.folder, durability, busy_seconds)
        self._readers = Readers(self._writer.path)
        self._committer = Committer(self._writer, limit=settings.queue_events)
        self._answers = Answers(self._readers, clock)
        self._rejected = counters.Rejected()
        self._closing = threading.Lock()
        self._closed = False
        self.log = SQLiteEventLog(self._committer, self._readers, self._answers, self._rejected)
        self.catalogue = SQLiteCatalogue(self._committer, self._readers)
        self.quarantine = SQLiteQuarantine(self._committer, self._readers)

    def alias(self, visitor_id: str, user_id: str) -> None:
        """See `Store.alias`; the last word about a visitor wins."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO aliases (visitor_id, user_id) VALUES (?, ?) "
                "ON CONFLICT (visitor_id) DO UPDATE SET user_id = excluded.user_id",
                (visitor_id, user_id),
            )

        self._committer.submit(work).result()

    def aliases(self) -> dict[str, str]:
        """See `Store.aliases`."""
        with self._readers.lend() as connection:
            return dict(connection.execute("SELECT visitor_id, user_id FROM aliases").fetchall())

    def recall(self, key: str) -> Remembered | None:
        """See `Store.recall`."""
        return self._answers.recall(key)

    def counts(self) -> Receipt:
        """Return what became of all events ever handed to this folder; the sum law holds.

        Rows this process refused are added to the file when it closes, so that a process which
        is killed takes their number with it (and nothing else).
        """
        with self._readers.lend() as connection:
            return counters.read(connection) + self._rejected.receipt

    def healthy(self) -> tuple[bool, str]:
        """See `Store.healthy`; a full disk is forgiven as soon as it has room again."""
        if self._closed:
            return False, f"{self._writer.folder} is closed."
        if self._writer.failure:
            return False, self._writer.failure
        if self._writer.full and faults.crowded(self._writer.folder):
            return False, f"No space is left in {self._writer.folder}."
        return True, ""

    def close(self) -> None:
        """See `Store.close`; closing twice does nothing."""
        with self._closing:
            if self._closed:
                return
            self._save_rejected()
            self._committer.close()
            self._closed = True
            self._readers.close()
            self._writer.close()

    def _save_rejected(self) -> None:
        refused = self._rejected.receipt
        if refused.received:
            with contextlib.suppress(StoreError):  # a full disk: the counts are lost, no event is
                self._committer.submit(lambda c: counters.add(c, refused)).result()

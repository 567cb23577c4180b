"""A store on an SQL database."""

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

from endcap.events.sql import counters, erasing
from endcap.events.sql.answers import Answers
from endcap.events.sql.backend import Database, Dialect, Readers, Session
from endcap.events.sql.catalogue import SQLCatalogue
from endcap.events.sql.committer import Committer, Writer
from endcap.events.sql.documents import SQLDocuments
from endcap.events.sql.log import SQLEventLog
from endcap.events.sql.parcels import SQLParcels
from endcap.events.sql.quarantine import SQLQuarantine
from endcap.events.sql.reservations import Reservations
from endcap.events.sql.slates import SQLSlates
from endcap.events.store import Erased, Receipt, Remembered
from endcap.schema.actors import apart
from endcap.schema.errors import StoreError


class SQLStore:
    """What stores on SQL databases share.

    Safe to use from many threads: readers have connections of their own, and all writes pass
    through one committing thread. Other processes may use the same place at the same time.

    Parameters
    ----------
    writer, readers, dialect, log
        What writes, what reads, how to say it, and the class that scans the log.
    reservations
        Of idempotency keys.
    limit
        Rows that may wait for their commit.
    clock
        Seconds since 1970, for the age of remembered answers and documents.

    Attributes
    ----------
    log, catalogue, quarantine, documents, parcels, slates
        See `Store`.
    """

    def __init__(
        self,
        writer: Writer,
        readers: Readers,
        dialect: Dialect,
        log: type[SQLEventLog],
        reservations: Reservations,
        *,
        limit: int,
        clock: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._database = Database(Committer(writer, limit=limit), readers, dialect)
        self._answers = Answers(readers, clock)
        self._reservations = reservations
        self._rejected = counters.Rejected()
        self._closing = threading.Lock()
        self._closed = False
        self.log = log(self._database, self._answers, self._rejected)
        self.catalogue = SQLCatalogue(self._database)
        self.quarantine = SQLQuarantine(self._database)
        self.documents = SQLDocuments(self._database, clock)
        self.parcels = SQLParcels(self._database)
        self.slates = SQLSlates(self._database)

    def alias(self, visitor_id: str, user_id: str) -> None:
        """See `Store.alias`; the last word about a visitor wins."""

        def work(session: Session) -> None:
            session.execute(
                "INSERT INTO aliases (visitor_id, user_id) VALUES (?, ?) "
                "ON CONFLICT (visitor_id) DO UPDATE SET user_id = excluded.user_id",
                (visitor_id, user_id),
            )

        self._database.committer.submit(work).result()

    def aliases(self, people: Sequence[str] | None = None) -> dict[str, str]:
        """See `Store.aliases`."""
        with self._database.readers.lend() as session:
            if people is None:
                return _aliases(session, "", ())
            among = self._database.dialect.among
            users, visitors = apart(people)
            if visitors:
                users += _aliases(session, *among("visitor_id", visitors)).values()
            return _aliases(session, *among("user_id", users)) if users else {}

    def erase(self, people: Sequence[str]) -> Erased:
        """See `Store.erase`."""
        return erasing.erase(self._database, people)

    def recall(self, key: str) -> Remembered | None:
        """See `Store.recall`."""
        return self._answers.recall(key)

    def reserve(self, key: str) -> bool:
        """See `Store.reserve`."""
        return self._reservations.reserve(key)

    def release(self, key: str) -> None:
        """See `Store.release`."""
        self._reservations.release(key)

    def counts(self) -> Receipt:
        """Return what became of all events ever handed to this place; the sum law holds.

        Rows this process refused are added to the totals when it closes, so that a process which
        is killed takes their number with it (and nothing else).
        """
        with self._database.readers.lend() as session:
            return counters.read(session) + self._rejected.receipt

    def healthy(self) -> tuple[bool, str]:
        """See `Store.healthy`."""
        if self._closed:
            return False, f"{self._writer.place} is closed."
        return not self._writer.failure, self._writer.failure

    def close(self) -> None:
        """See `Store.close`; closing twice does nothing."""
        with self._closing:
            if self._closed:
                return
            self._save_rejected()
            self._database.committer.close()
            self._closed = True
            self._reservations.close()
            self._database.readers.close()
            self._writer.close()

    def _save_rejected(self) -> None:
        refused = self._rejected.receipt
        if refused.received:
            with contextlib.suppress(StoreError):  # a full disk: the counts are lost, no event is
                self._database.committer.submit(
                    lambda _: self._database.committer.count(refused)
                ).result()


def _aliases(session: Session, among: str, bound: Sequence[Any]) -> dict[str, str]:
    sql = f"SELECT visitor_id, user_id FROM aliases {among}"
    return dict(session.execute(sql, bound).fetchall())

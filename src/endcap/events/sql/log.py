"""The event log on an SQL database; a dialect's own class scans it."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from math import nan
from typing import Any, Final

import pyarrow as pa

from endcap.events.sql import counters, rows
from endcap.events.sql.answers import Answers
from endcap.events.sql.backend import Database, Session
from endcap.events.sql.committer import Work
from endcap.events.store import Deed, Receipt, Remembered, receipt_of
from endcap.schema.errors import DataError, StoreError
from endcap.schema.tables import EVENTS

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
TAIL_ROWS: Final = 4096


class SQLEventLog(ABC):
    """An `EventLog` whose primary key makes retries free.

    Parameters
    ----------
    database
        What writes and what reads.
    answers
        Where an answer is remembered in the same transaction.
    rejected
        Told of rows that were refused.
    """

    def __init__(self, database: Database, answers: Answers, rejected: counters.Rejected) -> None:
        self._database = database
        self._answers = answers
        self._rejected = rejected

    def submit(
        self,
        events: pa.Table,
        *,
        key: str = "",
        remember: Callable[[Receipt], Remembered] | None = None,
    ) -> Future[Receipt]:
        """See `EventLog.submit`."""
        count = events.num_rows

        def settle(session: Session, stored: int) -> Receipt:
            receipt = Receipt(received=count, stored=stored, duplicate=count - stored)
            if remember is not None:
                self._answers.keep(session, key, remember(receipt))
            self._database.committer.count(receipt)
            return receipt

        return self._submit(self.storing(rows.conform(events, EVENTS), settle), count)

    def submit_each(self, events: pa.Table) -> Future[list[bool]]:
        """See `EventLog.submit_each`."""
        count = events.num_rows

        def settle(session: Session, new: list[bool]) -> list[bool]:
            self._database.committer.count(receipt_of(new))
            return new

        return self._submit(self.storing_each(rows.conform(events, EVENTS), settle), count)

    def append(self, events: pa.Table) -> Receipt:
        """See `EventLog.append`."""
        return self.submit(events).result()

    @abstractmethod
    def storing(self, events: pa.Table, settle: Callable[[Session, int], Receipt]) -> Work:
        """Return work that stores events and settles how many of them were new."""

    @abstractmethod
    def storing_each(
        self, events: pa.Table, settle: Callable[[Session, list[bool]], list[bool]]
    ) -> Work:
        """Return work that stores events and settles which of them were new."""

    @abstractmethod
    def scan(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        kinds: Sequence[str] | None = None,
        actor: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """See `EventLog.scan`; what is stored after the call is not seen.

        `actor` is an id as `endcap.schema.actors.actor` makes it, and is looked up by index.
        """

    def history(self, actor: str, kinds: Sequence[str]) -> list[Deed]:
        """See `EventLog.history`."""
        sql = f"{_HISTORY} AND kind IN ({', '.join('?' * len(kinds)) or 'NULL'}) ORDER BY time, seq"
        with self._database.readers.lend() as session:
            rows = session.execute(sql, (actor, *kinds)).fetchall()
        return [(i, k, t, nan if v is None else v) for i, k, t, v in rows]

    def count(self) -> int:
        """See `EventLog.count`."""
        with self._database.readers.lend() as session:
            (count,) = session.execute("SELECT count(*) FROM events").fetchone()
        return int(count)

    def newest(self) -> int:
        """Return the `seq` of the newest event, 0 where there is none."""
        with self._database.readers.lend() as session:
            (newest,) = session.execute("SELECT max(seq) FROM events").fetchone()
        return newest or 0

    def tail(
        self, after: int, until: int, kinds: Sequence[str] | None = None
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """See `EventLog.tail`; no lock is held between batches."""
        wanted = "" if kinds is None else f"AND kind IN ({', '.join('?' * len(kinds)) or 'NULL'})"
        sql = f"{_TAIL} WHERE seq > ? AND seq <= ? {wanted} ORDER BY seq LIMIT {TAIL_ROWS}"
        while after < until:
            with self._database.readers.lend() as session:
                page = session.execute(sql, (after, until, *(kinds or ()))).fetchall()
            if not page:
                return
            after = page[-1][-1]
            yield after, rows.decode([tuple(row[:-1]) for row in page], EVENTS)

    def _submit(self, work: Work, count: int) -> Future[Any]:
        try:
            future: Future[Any] = self._database.committer.submit(work, count)
        except StoreError:
            self._rejected.add(count)
            raise
        future.add_done_callback(functools.partial(self._count_failure, count))
        return future

    def _count_failure(self, count: int, future: Future[Any]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._rejected.add(count)


_HISTORY: Final = (
    "SELECT item_id, kind, time, value FROM events WHERE actor = ? AND item_id IS NOT NULL"
)
_TAIL: Final = f"SELECT {rows.names_sql(EVENTS.names)}, seq FROM events"


def schema_of(columns: Sequence[str] | None) -> pa.Schema:
    """Return the part of `EVENTS` that holds some columns; None: all of it."""
    if columns is None:
        return EVENTS
    return pa.schema([EVENTS.field(name) for name in EVENTS.names if name in columns])


def microseconds(moment: datetime) -> int:
    """Return a moment as UTC microseconds since 1970.

    Raises
    ------
    DataError
        When it has no time zone.
    """
    if moment.tzinfo is None:
        raise DataError(
            f"{moment.isoformat()} has no time zone.", hint="Say which, such as datetime.UTC."
        )
    return (moment - EPOCH) // timedelta(microseconds=1)

"""The event log on SQLite."""

import functools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from endcap.events.sqlite import counters, rows
from endcap.events.sqlite.answers import Answers
from endcap.events.sqlite.committer import Committer
from endcap.events.sqlite.engine import Readers
from endcap.events.store import Receipt, Remembered
from endcap.schema.actors import actor as actor_of
from endcap.schema.errors import DataError, StoreError
from endcap.schema.tables import EVENTS

PAGE_ROWS: Final = 16_384
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FIRST: Final = -(1 << 63)
LAST: Final = (1 << 63) - 1
"""Before and after all times; an event at `LAST` itself is 292,277 years away."""


class SQLiteEventLog:
    """An `EventLog` whose primary key makes retries free.

    Parameters
    ----------
    committer, readers
        What writes and what reads.
    answers
        Where an answer is remembered in the same transaction.
    rejected
        Told of rows that were refused.
    """

    def __init__(
        self,
        committer: Committer,
        readers: Readers,
        answers: Answers,
        rejected: counters.Rejected,
    ) -> None:
        self._committer = committer
        self._readers = readers
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
        columns, values = _encode(rows.conform(events, EVENTS))
        count = events.num_rows

        def work(connection: sqlite3.Connection) -> Receipt:
            stored = rows.insert(connection, _insert_sql(columns), values) if count else 0
            receipt = Receipt(received=count, stored=stored, duplicate=count - stored)
            if remember is not None:
                self._answers.keep(connection, key, remember(receipt))
            counters.add(connection, receipt)
            return receipt

        return self._submit(work, count)

    def append(self, events: pa.Table) -> Receipt:
        """See `EventLog.append`."""
        return self.submit(events).result()

    def scan(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        kinds: Sequence[str] | None = None,
        actor: str | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """See `EventLog.scan`; what is stored after the call is not seen.

        `actor` is an id as `endcap.schema.actors.actor` makes it, and is looked up by index.
        Memory is that of one batch (16,384 rows), and no lock is held between batches.
        """
        start = FIRST if since is None else _microseconds(since)
        end = LAST if until is None else _microseconds(until)
        with self._readers.lend() as connection:
            (newest,) = connection.execute("SELECT max(seq) FROM events").fetchone()
        filters, bound = _filters(newest or 0, kinds, actor)
        return self._pages(start, end, filters, bound)

    def count(self) -> int:
        """See `EventLog.count`."""
        with self._readers.lend() as connection:
            (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
        return int(count)

    def _submit(self, work: Callable[[sqlite3.Connection], Receipt], count: int) -> Future[Receipt]:
        try:
            future: Future[Receipt] = self._committer.submit(work, count)
        except StoreError:
            self._rejected.add(count)
            raise
        future.add_done_callback(functools.partial(self._count_failure, count))
        return future

    def _count_failure(self, count: int, future: Future[Receipt]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._rejected.add(count)

    def _pages(
        self, start: int, end: int, filters: str, bound: Sequence[Any]
    ) -> Iterator[pa.RecordBatch]:
        """Yield pages in the order of (time, seq).

        Each page takes up the rest of the last time first: comparing (time, seq) as one value
        would read all rows of that time again, and imports have a million rows of one day.
        """
        same = f"{_SELECT} WHERE time = ? AND seq > ? {filters} ORDER BY seq LIMIT ?"
        later = f"{_SELECT} WHERE time > ? AND time < ? {filters} ORDER BY time, seq LIMIT ?"
        time, seq = start - 1 if start > FIRST else FIRST, LAST
        while True:
            with self._readers.lend() as connection:
                page = connection.execute(same, (time, seq, *bound, PAGE_ROWS)).fetchall()
                rest = PAGE_ROWS - len(page)
                page += connection.execute(later, (time, end, *bound, rest)).fetchall()
            if not page:
                return
            seq, time = page[-1][-1], page[-1][_TIME]
            yield rows.decode([row[:-1] for row in page], EVENTS)
            if len(page) < PAGE_ROWS:
                return


_SELECT: Final = f"SELECT {rows.names_sql(EVENTS.names)}, seq FROM events"
_TIME: Final = EVENTS.get_field_index("time")


@functools.lru_cache(maxsize=512)
def _insert_sql(columns: tuple[str, ...]) -> str:
    return rows.insert_sql("events", columns, "ON CONFLICT (event_id) DO NOTHING")


def _encode(events: pa.Table) -> tuple[tuple[str, ...], list[rows.Values]]:
    columns, values = rows.encode(events)
    nobody = [None] * events.num_rows
    by_name = dict(zip(columns, values, strict=True))
    users, visitors = by_name.get("user_id", nobody), by_name.get("visitor_id", nobody)
    actors = [actor_of(u, v) for u, v in zip(users, visitors, strict=True)]
    return (*columns, "actor"), [*values, actors]


def _filters(newest: int, kinds: Sequence[str] | None, actor: str | None) -> tuple[str, list[Any]]:
    # The unary plus keeps the planner from walking the table by `seq` instead of by time.
    terms: list[str] = ["AND +seq <= ?"]
    bound: list[Any] = [newest]
    if kinds is not None:
        terms.append(f"AND kind IN ({', '.join('?' * len(kinds))})")
        bound += kinds
    if actor is not None:
        terms.append("AND actor = ?")
        bound.append(actor)
    return " ".join(terms), bound


def _microseconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise DataError(
            f"{moment.isoformat()} has no time zone.", hint="Say which, such as datetime.UTC."
        )
    return (moment - EPOCH) // timedelta(microseconds=1)

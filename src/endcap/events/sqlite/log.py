"""Scanning the event log on SQLite."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache
from math import nan
from typing import Any, Final, NamedTuple, Self

import msgspec
import pyarrow as pa

from endcap.events.sql import rows
from endcap.events.sql.backend import Session
from endcap.events.sql.committer import Work
from endcap.events.sql.log import SQLEventLog, microseconds, schema_of
from endcap.events.sql.tables import DONE, SHOWN
from endcap.events.sqlite.dialect import insertion
from endcap.events.store import Deed, Receipt
from endcap.schema.actors import actor as actor_of
from endcap.schema.kinds import IMPRESSION

PAGE_ROWS: Final = 2048
FIRST: Final = -(1 << 63)
LAST: Final = (1 << 63) - 1
"""Before and after all times; an event at `LAST` itself is 292,277 years away."""


class SQLiteEventLog(SQLEventLog):
    """An `EventLog` read page by page."""

    def storing(self, events: pa.Table, settle: Callable[[Session, int], Receipt]) -> Work:
        """See `SQLEventLog.storing`."""
        columns, values = _encode(events)

        def work(session: sqlite3.Connection) -> Receipt:
            insert = self._database.dialect.insert
            new = insert(session, "events", columns, values, _ONCE) if events.num_rows else 0
            return settle(session, new)

        return work

    def storing_each(
        self, events: pa.Table, settle: Callable[[Session, list[bool]], list[bool]]
    ) -> Work:
        """See `SQLEventLog.storing_each`."""
        columns, values = _encode(events)
        sql = insertion("events", columns, _ONCE)

        def work(session: sqlite3.Connection) -> list[bool]:
            rows = zip(*values, strict=True)
            return settle(session, [session.execute(sql, row).rowcount > 0 for row in rows])

        return work

    def history(self, actor: str, kinds: Sequence[str]) -> list[Deed]:
        """See `EventLog.history`.

        An index holds all of it. It comes as one row of JSON: the driver lets go of the
        interpreter for each row, and under load waits for it as often. Not where it holds stars:
        as text SQLite does not give a number back to the last bit.
        """
        halves = _halves(kinds)
        sql, bound = _deeds(halves, len(kinds)), (actor, *kinds) * len(halves)
        with self._database.readers.lend() as session:
            told, valued = session.execute(f"{_AS_JSON} FROM ({sql})", bound).fetchone()
            if valued:
                rows = session.execute(sql, bound).fetchall()
                return [(i, k, t, nan if v is None else v) for i, k, t, v, _ in rows]
        return [(item_id, kind, time, nan) for item_id, kind, time in _JSON.decode(told)]

    def scan(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        kinds: Sequence[str] | None = None,
        actor: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """See `SQLEventLog.scan`.

        Memory is that of one batch (2,048 rows), and no lock is held between batches.
        """
        start = FIRST if since is None else microseconds(since)
        end = LAST if until is None else microseconds(until)
        asked = _Asked.of(self.newest(), kinds, actor)
        return self._pages((start, end), asked, schema_of(columns))

    def _pages(
        self, times: tuple[int, int], asked: "_Asked", schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        """Yield pages in the order of (time, seq).

        Each page takes up the rest of the last time first: comparing (time, seq) as one value
        would read all rows of that time again, and imports have a million rows of one day.
        """
        (start, end), told = times, rows.names_sql((*schema.names, "time", "seq"))
        same = asked.sql(told, "time = ? AND seq > ?", "seq")
        later = asked.sql(told, "time > ? AND time < ?", "time, seq")
        time, seq = start - 1 if start > FIRST else FIRST, LAST
        while True:
            with self._database.readers.lend() as session:
                page: list[Any] = []
                if seq != LAST:  # nothing was read yet: no time to take up
                    page = session.execute(same, asked.bound(time, seq, PAGE_ROWS)).fetchall()
                rest = PAGE_ROWS - len(page)
                page += session.execute(later, asked.bound(time, end, rest)).fetchall()
            if not page:
                return
            time, seq = page[-1][-2:]
            yield rows.decode([row[:-2] for row in page], schema)
            if len(page) < PAGE_ROWS:
                return


_ONCE: Final = "ON CONFLICT (event_id) DO NOTHING"


@cache
def _deeds(halves: tuple[str, ...], kinds: int) -> str:
    among = ", ".join("?" * kinds) or "NULL"
    where = f"actor = ? AND item_id IS NOT NULL AND kind IN ({among})"
    return _union("item_id, kind, time, value, seq", halves, where, "time, seq")


_AS_JSON: Final = "SELECT json_group_array(json_array(item_id, kind, time)), count(value)"
_JSON: Final = msgspec.json.Decoder(list[tuple[str, str, int]])


class _Asked(NamedTuple):
    """What a scan asks for, in each half of the log that may hold it."""

    halves: tuple[str, ...]
    filters: str
    values: tuple[Any, ...]

    @classmethod
    def of(cls, newest: int, kinds: Sequence[str] | None, actor: str | None) -> Self:
        # The unary plus keeps the planner from walking the table by `seq` instead of by time.
        terms, bound = ["+seq <= ?"], [newest, *(kinds or ())]
        if kinds is not None:
            terms.append(f"kind IN ({', '.join('?' * len(kinds))})")
        if actor is not None:
            terms.append("actor = ?")
            bound.append(actor)
        return cls(_halves(kinds), " AND ".join(terms), tuple(bound))

    def sql(self, columns: str, times: str, order: str) -> str:
        """Return the statement for so much of the order of time."""
        return _union(columns, self.halves, f"{times} AND {self.filters}", f"{order} LIMIT ?")

    def bound(self, start: int, end: int, limit: int) -> tuple[Any, ...]:
        """Return its parameters."""
        return (*(start, end, *self.values) * len(self.halves), limit)


def _halves(kinds: Sequence[str] | None) -> tuple[str, ...]:
    """Return the halves of the log that may hold some kinds, at least one."""
    if kinds is None:
        return DONE, SHOWN
    if IMPRESSION not in kinds:
        return (DONE,)
    return (SHOWN,) if set(kinds) == {IMPRESSION} else (DONE, SHOWN)


def _union(columns: str, halves: Sequence[str], where: str, order: str) -> str:
    """Return the statement that reads each half by its own index, and merges them in order."""
    parts = [f"SELECT {columns} FROM events WHERE {half} AND {where}" for half in halves]
    return f"{' UNION ALL '.join(parts)} ORDER BY {order}"


def _encode(events: pa.Table) -> tuple[tuple[str, ...], list[rows.Values]]:
    columns, values = rows.encode(events)
    nobody = [None] * events.num_rows
    by_name = dict(zip(columns, values, strict=True))
    users, visitors = by_name.get("user_id", nobody), by_name.get("visitor_id", nobody)
    actors = users  # an account goes first
    if not all(users):
        actors = [actor_of(u, v) for u, v in zip(users, visitors, strict=True)]
    return (*columns, "actor"), [*values, actors]

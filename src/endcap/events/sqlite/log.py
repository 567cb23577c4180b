"""Scanning the event log on SQLite."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache
from math import nan
from typing import Any, Final

import msgspec
import pyarrow as pa

from endcap.events.sql import rows
from endcap.events.sql.backend import Session
from endcap.events.sql.committer import Work
from endcap.events.sql.log import SQLEventLog, microseconds, schema_of
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
        sql = _deeds(IMPRESSION in kinds, len(kinds))
        with self._database.readers.lend() as session:
            told, valued = session.execute(sql, (actor, *kinds)).fetchone()
        if valued:
            return super().history(actor, kinds)
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
        filters, bound = _filters(self.newest(), kinds, actor)
        return self._pages((start, end), filters, bound, schema_of(columns))

    def _pages(
        self, times: tuple[int, int], filters: str, bound: Sequence[Any], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        """Yield pages in the order of (time, seq).

        Each page takes up the rest of the last time first: comparing (time, seq) as one value
        would read all rows of that time again, and imports have a million rows of one day.
        """
        (start, end), told = times, rows.names_sql((*schema.names, "time", "seq"))
        select = f"SELECT {told} FROM events"
        same = f"{select} WHERE time = ? AND seq > ? {filters} ORDER BY seq LIMIT ?"
        later = f"{select} WHERE time > ? AND time < ? {filters} ORDER BY time, seq LIMIT ?"
        time, seq = start - 1 if start > FIRST else FIRST, LAST
        while True:
            with self._database.readers.lend() as session:
                page: list[Any] = []
                if seq != LAST:  # nothing was read yet: no time to take up
                    page = session.execute(same, (time, seq, *bound, PAGE_ROWS)).fetchall()
                rest = PAGE_ROWS - len(page)
                page += session.execute(later, (time, end, *bound, rest)).fetchall()
            if not page:
                return
            time, seq = page[-1][-2:]
            yield rows.decode([row[:-2] for row in page], schema)
            if len(page) < PAGE_ROWS:
                return


_ONCE: Final = "ON CONFLICT (event_id) DO NOTHING"


@cache
def _deeds(shown: bool, kinds: int) -> str:
    acted = "" if shown else f"AND kind <> '{IMPRESSION}'"
    return _DEEDS.format(acted=acted, kinds=", ".join("?" * kinds) or "NULL")


_DEEDS: Final = (
    "SELECT json_group_array(json_array(item_id, kind, time)), count(value) FROM ("
    "SELECT item_id, kind, time, value FROM events WHERE actor = ? AND item_id IS NOT NULL "
    "{acted} AND kind IN ({kinds}) ORDER BY time, seq)"
)
_JSON: Final = msgspec.json.Decoder(list[tuple[str, str, int]])


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


def _encode(events: pa.Table) -> tuple[tuple[str, ...], list[rows.Values]]:
    columns, values = rows.encode(events)
    nobody = [None] * events.num_rows
    by_name = dict(zip(columns, values, strict=True))
    users, visitors = by_name.get("user_id", nobody), by_name.get("visitor_id", nobody)
    actors = users  # an account goes first
    if not all(users):
        actors = [actor_of(u, v) for u, v in zip(users, visitors, strict=True)]
    return (*columns, "actor"), [*values, actors]

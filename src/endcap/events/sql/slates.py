"""Slates as they were answered, for replay."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from endcap.events.sql.backend import Database, Session
from endcap.events.sql.committer import Apart
from endcap.events.store import Answered

AT_ONCE: Final = 100
"""Slates of one statement: each statement is a question, and the store may be far away."""
PORTION: Final = 2_000
"""Rows removed in one transaction."""


class SQLSlates:
    """`Slates` in one table; pruning takes the changes of the catalogue that nobody needs, too.

    Parameters
    ----------
    database
        What writes and what reads.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, answered: Sequence[Answered]) -> None:
        """See `Slates.put`."""

        def work(session: Session) -> None:
            for start in range(0, len(answered), AT_ONCE):
                some = answered[start : start + AT_ONCE]
                session.execute(
                    "INSERT INTO slates (request_id, time, actor, record) VALUES "
                    + ", ".join(["(?, ?, ?, ?)"] * len(some))
                    + " ON CONFLICT (request_id) DO NOTHING",
                    [value for row in some for value in row],
                )

        self._database.committer.submit(Apart(work), len(answered)).result()

    def get(self, request_id: str) -> Answered | None:
        """See `Slates.get`."""
        with self._database.readers.lend() as session:
            row = session.execute(
                "SELECT request_id, time, actor, record FROM slates WHERE request_id = ?",
                (request_id,),
            ).fetchone()
        return Answered(row[0], row[1], row[2], bytes(row[3])) if row else None

    def prune(self, before: datetime) -> int:
        """See `Slates.prune`."""
        moment = int(before.timestamp() * 1_000_000)
        self._remove("item_changes", "seq", "changed", moment)
        return self._remove("slates", "request_id", "time", moment)

    def _remove(self, table: str, key: str, time: str, before: int) -> int:
        """Remove rows some at a time, so that nobody who writes waits long."""
        some = f"SELECT {key} FROM {table} WHERE {time} < ? LIMIT {PORTION}"
        sql, gone = f"DELETE FROM {table} WHERE {key} IN ({some})", 0

        def work(session: Session) -> int:
            return session.execute(sql, (before,)).rowcount

        while True:
            count: int = self._database.committer.submit(work, PORTION).result()
            gone += count
            if count < PORTION:
                return gone

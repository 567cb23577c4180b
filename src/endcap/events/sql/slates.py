"""Slates as they were answered, for replay."""

from collections.abc import Sequence
from datetime import datetime

from endcap.events.sql.backend import Database, Session
from endcap.events.store import Answered


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
            for row in answered:
                session.execute(
                    "INSERT INTO slates (request_id, time, actor, record) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (request_id) DO NOTHING",
                    row,
                )

        self._database.committer.submit(work, len(answered)).result()

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

        def work(session: Session) -> int:
            session.execute("DELETE FROM item_changes WHERE changed < ?", (moment,))
            return session.execute("DELETE FROM slates WHERE time < ?", (moment,)).rowcount

        return self._database.committer.submit(work, 1).result()  # type: ignore[no-any-return]

"""What failed validation."""

import pyarrow as pa

from endcap.events.sql import rows as codec
from endcap.events.sql.backend import Database, Session
from endcap.events.store import Receipt
from endcap.schema.tables import QUARANTINE


class SQLQuarantine:
    """A `Quarantine`; a unique index over (source, line, payload, reason) lets nothing double.

    Parameters
    ----------
    database
        What writes and what reads.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, rows: pa.Table) -> Receipt:
        """See `Quarantine.put`."""
        columns, values = codec.encode(codec.conform(rows, QUARANTINE))
        count = rows.num_rows

        def work(session: Session) -> Receipt:
            insert = self._database.dialect.insert
            tail = "ON CONFLICT DO NOTHING"
            kept = insert(session, "quarantine", columns, values, tail) if count else 0
            receipt = Receipt(received=count, quarantined=kept, duplicate=count - kept)
            self._database.committer.count(receipt)
            return receipt

        return self._database.committer.submit(work, count).result()  # type: ignore[no-any-return]

    def rows(self, limit: int = 1000, offset: int = 0) -> pa.Table:
        """See `Quarantine.rows`."""
        names = codec.names_sql(QUARANTINE.names)
        sql = f"SELECT {names} FROM quarantine ORDER BY seq DESC LIMIT ? OFFSET ?"
        with self._database.readers.lend() as session:
            found = session.execute(sql, (limit, offset)).fetchall()
        return pa.Table.from_batches([codec.decode(found, QUARANTINE)])

    def reasons(self) -> dict[str, int]:
        """See `Quarantine.reasons`."""
        sql = "SELECT reason, count(*) FROM quarantine GROUP BY reason ORDER BY reason"
        with self._database.readers.lend() as session:
            return dict(session.execute(sql).fetchall())

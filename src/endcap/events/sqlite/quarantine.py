"""What failed validation, on SQLite."""

import sqlite3

import pyarrow as pa

from endcap.events.sqlite import counters
from endcap.events.sqlite import rows as codec
from endcap.events.sqlite.committer import Committer
from endcap.events.sqlite.engine import Readers
from endcap.events.store import Receipt
from endcap.schema.tables import QUARANTINE


class SQLiteQuarantine:
    """A `Quarantine`; a unique index over (source, line, payload, reason) lets nothing double.

    Parameters
    ----------
    committer, readers
        What writes and what reads.
    """

    def __init__(self, committer: Committer, readers: Readers) -> None:
        self._committer = committer
        self._readers = readers

    def put(self, rows: pa.Table) -> Receipt:
        """See `Quarantine.put`."""
        columns, values = codec.encode(codec.conform(rows, QUARANTINE))
        sql = codec.insert_sql("quarantine", columns, "ON CONFLICT DO NOTHING")
        count = rows.num_rows

        def work(connection: sqlite3.Connection) -> Receipt:
            kept = codec.insert(connection, sql, values) if count else 0
            receipt = Receipt(received=count, quarantined=kept, duplicate=count - kept)
            counters.add(connection, receipt)
            return receipt

        return self._committer.submit(work, count).result()  # type: ignore[no-any-return]

    def rows(self, limit: int = 1000, offset: int = 0) -> pa.Table:
        """See `Quarantine.rows`."""
        names = codec.names_sql(QUARANTINE.names)
        sql = f"SELECT {names} FROM quarantine ORDER BY seq DESC LIMIT ? OFFSET ?"
        with self._readers.lend() as connection:
            found = connection.execute(sql, (limit, offset)).fetchall()
        return pa.Table.from_batches([codec.decode(found, QUARANTINE)])

    def reasons(self) -> dict[str, int]:
        """See `Quarantine.reasons`."""
        sql = "SELECT reason, count(*) FROM quarantine GROUP BY reason ORDER BY reason"
        with self._readers.lend() as connection:
            return dict(connection.execute(sql).fetchall())

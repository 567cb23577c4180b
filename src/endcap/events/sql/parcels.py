"""Bytes of any length, in parts."""

from collections.abc import Iterable, Iterator

from endcap.events.sql.backend import Database, Session


class SQLParcels:
    """`Parcels` in one table; each part is a transaction of its own.

    Parameters
    ----------
    database
        What writes and what reads.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, name: str, parts: Iterable[bytes]) -> None:
        """See `Parcels.put`."""
        self.delete(name)
        for number, content in enumerate(parts):
            self._write(
                "INSERT INTO parcels (name, part, content) VALUES (?, ?, ?) "
                "ON CONFLICT (name, part) DO UPDATE SET content = excluded.content",
                (name, number, content),
            )

    def get(self, name: str) -> Iterator[bytes]:
        """See `Parcels.get`."""
        number = 0
        while True:
            with self._database.readers.lend() as session:
                row = session.execute(
                    "SELECT content FROM parcels WHERE name = ? AND part = ?", (name, number)
                ).fetchone()
            if row is None:
                return
            yield bytes(row[0])
            number += 1

    def names(self, prefix: str = "") -> list[str]:
        """See `Parcels.names`."""
        with self._database.readers.lend() as session:
            found = session.execute("SELECT name FROM parcels WHERE part = 0 ORDER BY name")
            return [name for (name,) in found.fetchall() if name.startswith(prefix)]

    def delete(self, name: str) -> None:
        """See `Parcels.delete`."""
        self._write("DELETE FROM parcels WHERE name = ?", (name,))

    def _write(self, sql: str, bound: tuple[object, ...]) -> None:
        def work(session: Session) -> None:
            session.execute(sql, bound)

        self._database.committer.submit(work, 1).result()

"""Small texts with their history."""

from collections.abc import Callable

from endcap.events.sql.backend import Database, Session
from endcap.events.store import Written
from endcap.schema.errors import ConflictError

COLUMNS = "name, version, body, written"


class SQLDocuments:
    """`Documents` in one table, to which versions are only added.

    Parameters
    ----------
    database
        What writes and what reads.
    clock
        Seconds since 1970.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def write(self, name: str, body: str | None, expected: int | None = None) -> Written:
        """See `Documents.write`; two processes that write at once get two versions."""
        written = int(self._clock() * 1_000_000)

        def work(session: Session) -> Written:
            (last,) = session.execute(
                "SELECT coalesce(max(version), 0) FROM documents WHERE name = ?", (name,)
            ).fetchone()
            if expected is not None and expected != last:
                raise ConflictError(
                    f"{name!r} has version {last}, not {expected}.",
                    hint="Somebody else changed it: read it again.",
                )
            row = Written(name, last + 1, body, written)
            session.execute(f"INSERT INTO documents ({COLUMNS}) VALUES (?, ?, ?, ?)", row)
            return row

        return self._database.committer.submit(work, 1).result()  # type: ignore[no-any-return]

    def latest(self, prefix: str = "") -> dict[str, Written]:
        """See `Documents.latest`."""
        sql = (
            f"SELECT {COLUMNS} FROM documents d WHERE version = "
            "(SELECT max(version) FROM documents WHERE name = d.name) ORDER BY name"
        )
        with self._database.readers.lend() as session:
            rows = session.execute(sql).fetchall()
        return {row[0]: Written(*row) for row in rows if row[0].startswith(prefix)}

    def history(self, name: str) -> list[Written]:
        """See `Documents.history`."""
        sql = f"SELECT {COLUMNS} FROM documents WHERE name = ? ORDER BY version DESC"
        with self._database.readers.lend() as session:
            return [Written(*row) for row in session.execute(sql, (name,)).fetchall()]

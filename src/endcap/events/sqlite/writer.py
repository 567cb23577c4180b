"""The one connection that writes: groups of work, each group one durable transaction."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from endcap.events.sql.committer import Work, Writer
from endcap.events.sqlite import engine, faults, migrate
from endcap.events.sqlite.turn import WriteTurn
from endcap.schema.errors import BusyError, StoreError, StoreFullError, StoreReadOnlyError

SERVER_PAGES: Final = 12_000
"""Length that the write-ahead log may reach, about (47 MiB): it stays below 64 MB beside a server,
whose shoppers' reads look through it."""
IMPORT_PAGES: Final = 32_768
"""The same (128 MiB) where groups are as large as those of an import: more rarely, since each
checkpoint writes nearly every page of the indexes again."""
IMPORT_ROWS: Final = 5_000
"""Mean rows of such groups."""
CHECKPOINT_ROWS: Final = 100_000
CHECKPOINT_COMMITS: Final = 2_000
FIRST: Final = 0.1
"""Share of these after which it is looked for the first time how long the log has become."""
STUBBORN_PAGES: Final = 262_144
"""A log longer than this (1 GiB) waits for readers to finish, so that it can start over."""


class SQLiteWriter(Writer):
    """Runs work in transactions that are on disk when `commit` returns.

    Parameters
    ----------
    folder
        Made where it does not exist; the database in it is created or upgraded.
    durability
        ``"full"`` in production.
    busy_seconds
        How long to wait for another process that writes.

    Raises
    ------
    StoreError
        When the database is damaged, of a newer version, or on an unsuitable file system.
    """

    def __init__(
        self,
        folder: Path,
        durability: engine.Durability = "full",
        busy_seconds: float = engine.BUSY_SECONDS,
    ) -> None:
        engine.make_folder(folder)
        self.folder = folder
        self.place = str(folder)
        self.path = folder / engine.FILE_NAME
        self.full = False
        self._suspect = folder / "events.suspect"
        self._turn = WriteTurn(folder, timeout=busy_seconds)
        self._rows = self._commits = 0
        self._due_rows = int(CHECKPOINT_ROWS * FIRST)
        self._due_commits = int(CHECKPOINT_COMMITS * FIRST)
        try:
            self._connection = self._open(durability, busy_seconds)
        except BaseException:
            self._turn.close()
            raise

    def transact(self, works: Sequence[Work]) -> list[Any]:
        """See `Writer.transact`."""
        if self.failure:
            raise StoreReadOnlyError(self.failure)
        with self._turn.take():
            before = self._connection.total_changes
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                outcomes = self.run(self._connection, works)
                self._connection.execute("COMMIT")
            except BaseException as error:
                self._roll_back(error)
                raise
        self._rows += self._connection.total_changes - before
        self._commits += 1
        self.full = False
        return outcomes

    def explained(self, error: Exception) -> Exception:
        """See `Writer.explained`."""
        return faults.explained(error)

    def tidy(self) -> None:
        """Move the write-ahead log into the database when it is long enough."""
        if self.failure or (self._rows < self._due_rows and self._commits < self._due_commits):
            return
        try:
            with self._turn.take():
                self._checkpoint()
        except sqlite3.Error as error:
            self._note(faults.meaning(error, self.folder))
        except (BusyError, OSError):
            return  # somebody else has the pen: the next round will do

    def close(self) -> None:
        """Close the connection; the last one of all processes empties the write-ahead log."""
        try:
            with self._turn.take():
                self._connection.close()
        except BusyError:
            self._connection.close()  # the log stays for whoever has the pen
        self._turn.close()

    def _open(self, durability: engine.Durability, busy_seconds: float) -> sqlite3.Connection:
        with self._turn.take():
            migrate.upgrade(self.path, busy_seconds)
            connection = engine.connect(self.path, durability, busy_seconds)
            try:
                if self._suspect.exists():
                    self._examine(connection)
                self._keep_name(connection)
            except BaseException:
                connection.close()
                raise
            return connection

    def _keep_name(self, connection: sqlite3.Connection) -> None:
        """Put the name of the write-ahead log on disk: without it a power cut takes all of it.

        SQLite does so with the first commit, and passes over a failure.
        """
        try:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # opens the log
            engine.fsync_folder(self.folder)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"The disk of {self.folder} fails: {error}.") from error

    def _examine(self, connection: sqlite3.Connection) -> None:
        """Read everything, because the last process saw the disk fail."""
        try:
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.Error as error:
            verdict = str(error)
        if verdict != "ok":
            raise StoreError(
                f"{self.path} is damaged: {verdict}.", hint="Restore it from a backup."
            )
        self._suspect.unlink()

    def _roll_back(self, error: BaseException) -> None:
        """Undo the transaction and raise what the error means for the whole group, if anything."""
        meaning = faults.meaning(error, self.folder) if isinstance(error, sqlite3.Error) else None
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as second:
            meaning = faults.meaning(second, self.folder) or meaning
        self._note(meaning)
        if meaning:
            raise meaning from error

    def _checkpoint(self) -> None:
        _, pages, _ = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages > STUBBORN_PAGES:
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        # A row costs more pages the larger its indexes have grown: learn after how many it is due.
        most = IMPORT_PAGES if self._rows >= IMPORT_ROWS * self._commits else SERVER_PAGES
        share = most / max(pages, 1)
        self._due_rows = int(min(max(self._rows * share, 1), CHECKPOINT_ROWS))
        self._due_commits = int(min(max(self._commits * share, 1), CHECKPOINT_COMMITS))
        self._rows = self._commits = 0

    def _note(self, meaning: StoreError | None) -> None:
        if isinstance(meaning, StoreFullError):
            self.full = True
        if isinstance(meaning, StoreReadOnlyError):
            self.failure = meaning.message
            self._mark_suspect(meaning.message)

    def _mark_suspect(self, reason: str) -> None:
        """Leave word for whoever opens next, if the disk still takes any."""
        try:
            self._suspect.write_text(reason + "\n", encoding="utf-8")
        except OSError:
            # The disk that just failed may refuse this too; `failure` still guards this process.
            return

"""The embedded store: one SQLite file in one folder, shared by any number of processes."""

import time
from collections.abc import Callable

from endcap.events.sql.store import SQLStore
from endcap.events.sqlite import faults
from endcap.events.sqlite.dialect import SQLiteDialect
from endcap.events.sqlite.engine import BUSY_SECONDS, Durability, readers
from endcap.events.sqlite.log import SQLiteEventLog
from endcap.events.sqlite.reservations import FileReservations
from endcap.events.sqlite.writer import SQLiteWriter
from endcap.schema.settings import StoreSettings


class SQLiteStore(SQLStore):
    """A `Store` in ``settings.folder / "events.db"``.

    Parameters
    ----------
    settings
        Where, and how many rows may wait for their commit.
    durability
        ``"full"``: what is acknowledged has been fsynced. Tests use less to see what it costs.
    busy_seconds
        How long to wait for another process that writes.
    clock
        Seconds since 1970, for the age of remembered answers.

    Raises
    ------
    StoreError
        When the database is damaged, of a newer version, or its folder cannot be used.
    """

    def __init__(
        self,
        settings: StoreSettings,
        *,
        durability: Durability = "full",
        busy_seconds: float = BUSY_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = SQLiteWriter(settings.folder, durability, busy_seconds)
        super().__init__(
            self._file,
            readers(self._file.path),
            SQLiteDialect(),
            SQLiteEventLog,
            FileReservations(settings.folder),
            limit=settings.queue_events,
            clock=clock,
        )

    def healthy(self) -> tuple[bool, str]:
        """See `Store.healthy`; a full disk is forgiven as soon as it has room again."""
        well, why = super().healthy()
        if well and self._file.full and faults.crowded(self._file.folder):
            return False, f"No space is left in {self._file.folder}."
        return well, why

"""The store on a PostgreSQL server, shared by any number of processes and machines."""

import time
from collections.abc import Callable

from endcap.events.postgres import engine
from endcap.events.postgres.dialect import PostgresDialect
from endcap.events.postgres.log import PostgresEventLog
from endcap.events.postgres.reservations import SessionReservations
from endcap.events.postgres.writer import PostgresWriter
from endcap.events.sql.store import SQLStore
from endcap.schema.errors import StoreError
from endcap.schema.settings import StoreSettings


class PostgresStore(SQLStore):
    """A `Store` at ``settings.url``.

    While the server is away writers are told at once (`StoreError`, HTTP 503), and the first
    write after it came back is stored. A commit whose answer was lost is not acknowledged: sent
    again, it stores nothing twice.

    Parameters
    ----------
    settings
        Where, and how many rows may wait for their commit.
    durability
        ``"on"``: what is acknowledged has been fsynced. Tests use ``"off"`` to see what it costs.
    clock
        Seconds since 1970, for the age of remembered answers.

    Raises
    ------
    ConfigError
        When the URL is none.
    StoreError
        When the server cannot be reached, runs without fsync, or its tables are of a newer version.
    """

    def __init__(
        self,
        settings: StoreSettings,
        *,
        durability: engine.Durability = "on",
        clock: Callable[[], float] = time.time,
    ) -> None:
        writer = PostgresWriter(settings.url, durability)
        super().__init__(
            writer,
            engine.readers(writer.target, writer.place),
            PostgresDialect(),
            PostgresEventLog,
            SessionReservations(writer.target, writer.place),
            limit=settings.queue_events,
            clock=clock,
        )

    def healthy(self) -> tuple[bool, str]:
        """See `Store.healthy`; asks the server."""
        well, why = super().healthy()
        if not well:
            return well, why
        try:
            with self._database.readers.lend() as session:
                (standby,) = session.execute("SELECT pg_is_in_recovery()").fetchone()
        except StoreError as error:
            return False, error.message
        return not standby, f"{self._writer.place} is a standby." if standby else ""

"""The one connection that writes, made again when the server comes back."""

import itertools
import time
from collections.abc import Sequence
from typing import Any, Final

import psycopg
import structlog

from endcap.events.postgres import engine, faults, migrate
from endcap.events.postgres.appending import PEN, STAGE, Append, append
from endcap.events.sql.committer import Apart, Work, Writer
from endcap.schema.errors import StoreError

LOCK_SECONDS: Final = 30
RETRY_SECONDS: Final = 0.25
log = structlog.get_logger(__name__)


class PostgresWriter(Writer):
    """Runs work in transactions that are on the server's disk when `transact` returns.

    Parameters
    ----------
    url
        Of the database.
    durability
        ``"on"`` in production.

    Raises
    ------
    StoreError
        When the server cannot be reached, keeps nothing on disk, or has tables of a newer version.
    """

    def __init__(self, url: str, durability: engine.Durability = "on") -> None:
        self.target, self.place = engine.target(url)
        self._durability: str = durability
        self._session: engine.Session | None = self._open(patient=True)
        self._away: StoreError | None = None
        self._next_try = 0.0
        try:
            migrate.upgrade(self._session, PEN, self.place)  # may take its time
            engine.let_go_soon(self._session)
        except BaseException:
            self._session.close()
            raise

    def transact(self, works: Sequence[Work]) -> list[Any]:
        """See `Writer.transact`."""
        session = self._connected()
        try:
            session.connection.execute(self._begin, prepare=False)
            outcomes = self.run(session, works)
            session.connection.execute("COMMIT")
        except BaseException as error:
            self._roll_back(session, error)
            raise
        return outcomes

    def do(self, session: engine.Session, works: Sequence[Work]) -> list[Any]:
        """See `Writer.do`; what neighbours append is stored together, `Apart` comes first."""
        apart = {at: work(session) for at, work in enumerate(works) if isinstance(work, Apart)}
        others = iter(self._in_order(session, [w for w in works if not isinstance(w, Apart)]))
        return [apart[at] if at in apart else next(others) for at in range(len(works))]

    def _in_order(self, session: engine.Session, works: Sequence[Work]) -> list[Any]:
        outcomes: list[Any] = []
        for _, group in itertools.groupby(works, key=type):
            neighbours = list(group)
            appends = [work for work in neighbours if isinstance(work, Append)]
            if appends:
                outcomes += append(session, appends)
            else:
                session.execute(PEN)
                outcomes += super().do(session, neighbours)
        return outcomes

    def explained(self, error: Exception) -> Exception:
        """See `Writer.explained`."""
        return faults.explained(error)

    def close(self) -> None:
        """See `Writer.close`."""
        if self._session:
            self._session.close()

    def _connected(self) -> engine.Session:
        """Return the connection; while the server is away, say so at once between two tries."""
        if self._session is None:
            if self._away and time.monotonic() < self._next_try:
                raise self._away
            try:
                self._session = self._open()
            except StoreError as error:
                self._away, self._next_try = error, time.monotonic() + RETRY_SECONDS
                raise
            log.info("store back", place=self.place)
            self._away = None
        return self._session

    def _open(self, *, patient: bool = False) -> engine.Session:
        session = engine.connect(self.target, self.place)
        try:
            self._examine(session)
            session.execute(STAGE)
            if not patient:
                engine.let_go_soon(session)
        except BaseException:
            session.close()
            raise
        return session

    def _examine(self, session: engine.Session) -> None:
        """Refuse a server that forgets; raise a setting of ours that is too low."""
        settings = dict(
            session.execute(
                "SELECT name, setting FROM pg_settings "
                "WHERE name IN ('fsync', 'synchronous_commit')"
            ).fetchall()
        )
        if settings["fsync"] != "on":
            raise StoreError(
                f"{self.place} runs with fsync={settings['fsync']}: what it acknowledges, a power "
                "cut takes.",
                hint="Set fsync=on in postgresql.conf.",
            )
        waits = settings["synchronous_commit"]
        if waits == "off" and self._durability == "on":
            log.warning("synchronous_commit is off; Endcap's own commits wait for the disk")
        if self._durability == "off" or waits == "off":
            waits = self._durability
        self._begin = (
            f"BEGIN; SET LOCAL synchronous_commit TO {waits}; "
            f"SET LOCAL lock_timeout TO '{LOCK_SECONDS}s'"
        )

    def _roll_back(self, session: engine.Session, error: BaseException) -> None:
        """Undo the transaction and raise what the error means for the whole group, if anything."""
        meaning = faults.meaning(error, self.place) if isinstance(error, psycopg.Error) else None
        try:
            session.connection.execute("ROLLBACK")
        except psycopg.Error as second:
            meaning = meaning or faults.meaning(second, self.place)
        if session.connection.closed:
            self._session = None
            log.warning("store away", place=self.place, error=str(error).strip())
        if meaning:
            raise meaning from error

"""Idempotency keys as advisory locks of a connection of their own."""

from typing import Final

import psycopg

from endcap.events.postgres import engine
from endcap.events.sql.reservations import Reservations
from endcap.schema.errors import StoreError

_KEY: Final = "hashtextextended('endcap.key.' || current_schema() || '.' || ?, 0)"
_LOCK: Final = f"SELECT pg_try_advisory_lock({_KEY})"
_UNLOCK: Final = f"SELECT pg_advisory_unlock({_KEY})"


class SessionReservations(Reservations):
    """Reserves among all processes of a database; what a server that went away held is free.

    Parameters
    ----------
    target, place
        How to connect, and its name.
    """

    def __init__(self, target: str, place: str) -> None:
        super().__init__()
        self._target, self._place = target, place
        self._session: engine.Session | None = None

    def lock(self, key: str) -> bool:
        """See `Reservations.lock`.

        Raises
        ------
        StoreError
            When the server cannot be reached.
        """
        idle = self._session is not None
        try:
            return self._told(_LOCK, key)
        except StoreError:
            if not idle:
                raise
            return self._told(_LOCK, key)  # it had gone away and come back meanwhile

    def unlock(self, key: str) -> None:
        """See `Reservations.unlock`; a connection that broke has let go by itself."""
        if self._session is not None:
            try:
                self._told(_UNLOCK, key)
            except StoreError:
                return

    def close(self) -> None:
        """See `Reservations.close`."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _told(self, sql: str, key: str) -> bool:
        if self._session is None:
            self._session = engine.connect(self._target, self._place)
            engine.let_go_soon(self._session)
        try:
            (answer,) = self._session.execute(sql, (key,)).fetchone() or (False,)
        except psycopg.Error as error:
            self.close()
            raise StoreError(
                f"{self._place} cannot be asked: {error}.", hint="Nothing was stored; try again."
            ) from error
        return bool(answer)

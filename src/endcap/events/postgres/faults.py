"""What an error of PostgreSQL means for those who wait: come back, make room, or look."""

from typing import Final

import psycopg

from endcap.schema.errors import BusyError, DataError, StoreError, StoreFullError

DISK_FULL: Final = "53100"
READ_ONLY: Final = "25006"
COME_BACK: Final = ("40", "53", "55P03", "57014")
"""Deadlock, out of memory or connections, the pen not given in time, cancelled."""
GONE: Final = ("08", "57P", "58", "XX")
"""The connection, the server, its disk."""


def meaning(error: psycopg.Error, place: str) -> StoreError | None:
    """Say what a failed transaction means; None when the fault lies with the statement alone."""
    code = error.sqlstate or ""
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if code == DISK_FULL:
        return StoreFullError(
            f"No space is left on {place}.", hint="Nothing was stored; free some space."
        )
    if code.startswith(COME_BACK):
        return BusyError(f"{place} is busy: {said}.", hint="Nothing was stored; try again.")
    if code == READ_ONLY or code.startswith(GONE) or isinstance(error, psycopg.OperationalError):
        return StoreError(
            f"{place} failed: {said}.",
            hint="Nothing was acknowledged; send it again, an event that is there stays one event.",
        )
    return None


def explained(error: Exception) -> Exception:
    """Return a fault of one work as an error of ours, where it came from PostgreSQL."""
    if not isinstance(error, psycopg.Error):
        return error
    mine = DataError(f"The store cannot keep these rows: {str(error).strip()}.")
    mine.__cause__ = error
    return mine

"""What an SQLite error means for those who wait: come back, make room, or stop."""

import shutil
import sqlite3
from pathlib import Path
from typing import Final

from endcap.schema.errors import (
    BusyError,
    DataError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)

SPARE_BYTES: Final = 1 << 20
"""Below this much free space a failed write is a full disk; above it, writing may go on."""

_STOP: Final = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}
_NO_ROOM: Final = {sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP}


def meaning(error: sqlite3.Error, folder: Path) -> StoreError | None:
    """Say what a failed transaction means; None when the fault lies with the statement alone.

    A failed fsync is never tried again: the kernel may have dropped the pages and say success
    next time (PostgreSQL's lesson of 2018), so all that is left is to stop and be checked.
    """
    code: int = getattr(error, "sqlite_errorcode", 0)
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL or (code in _NO_ROOM and crowded(folder)):
        return StoreFullError(
            f"No space is left in {folder}.", hint="Nothing was stored; free some space."
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return BusyError(f"{folder} is locked by another program.", hint="Nothing was stored.")
    if primary in _STOP:
        name = getattr(error, "sqlite_errorname", "error")
        return StoreReadOnlyError(
            f"Writing to {folder} failed ({name}: {error}).",
            hint="Nothing of the batch was acknowledged; reopen the store to have it checked.",
        )
    return None


def explained(error: Exception) -> Exception:
    """Return a fault of one work as an error of ours, where it came from SQLite."""
    if not isinstance(error, sqlite3.Error):
        return error
    mine = DataError(f"The store cannot keep these rows: {error}.")
    mine.__cause__ = error
    return mine


def crowded(folder: Path) -> bool:
    """Return whether less than `SPARE_BYTES` are free where the store lies."""
    try:
        return shutil.disk_usage(folder).free < SPARE_BYTES
    except OSError:
        return False

"""Connections to the database file, and what is set on each."""

import os
import sqlite3
from pathlib import Path
from typing import Final, Literal

from endcap.events.sql.pool import Pool
from endcap.schema.errors import StoreError

FILE_NAME: Final = "events.db"
BUSY_SECONDS: Final = 30.0
Durability = Literal["full", "normal", "off"]
"""``full`` fsyncs every commit. The others exist so that tests can show what they lose."""

_CACHE_KIB: Final = 65_536
_READER_CACHE_KIB: Final = 8_192
"""There are several readers in a process, and what they read lies in the cache of the system."""
_WAL_LIMIT_BYTES: Final = 48 << 20
_STATEMENTS: Final = 256


def connect(
    path: Path, durability: Durability = "full", busy_seconds: float = BUSY_SECONDS
) -> sqlite3.Connection:
    """Open a connection that starts no transaction and no checkpoint by itself."""
    connection = sqlite3.connect(
        path,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS,
    )
    for pragma in (
        f"synchronous={durability}",
        "fullfsync=1",  # macOS: fsync alone does not reach the platter
        "wal_autocheckpoint=0",  # its errors are hidden; the writer does it where they show
        f"journal_size_limit={_WAL_LIMIT_BYTES}",
        f"cache_size=-{_CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def make_wal(connection: sqlite3.Connection, path: Path) -> None:
    """Put the file into write-ahead mode; it stays so.

    Raises
    ------
    StoreError
        Where the file system cannot (a network share).
    """
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise StoreError(
            f"{path} cannot use a write-ahead log (mode {mode!r}).",
            hint="Put the folder on a local disk.",
        )


def readers(path: Path) -> Pool[sqlite3.Connection]:
    """Return connections that cannot write."""

    def reader() -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA query_only=1")
        connection.execute(f"PRAGMA cache_size=-{_READER_CACHE_KIB}")
        return connection

    return Pool(str(path), reader, error=sqlite3.Error)


def make_folder(folder: Path) -> None:
    """Create `folder` so that it, too, survives a power cut.

    Raises
    ------
    StoreError
        Where it cannot be created.
    """
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for made in missing:
            fsync_folder(made.parent)
    except OSError as error:
        raise StoreError(f"The folder {folder} cannot be used: {error.strerror}.") from error


def fsync_folder(folder: Path) -> None:
    """Put the names of a folder's files on disk; raises `OSError` when that fails."""
    if os.name == "nt":  # pragma: no cover - Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

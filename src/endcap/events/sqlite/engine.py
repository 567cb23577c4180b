"""Connections to the database file, and what is set on each."""

import os
import queue
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from endcap.schema.errors import StoreError

FILE_NAME: Final = "events.db"
BUSY_SECONDS: Final = 30.0
Durability = Literal["full", "normal", "off"]
"""``full`` fsyncs every commit. The others exist so that tests can show what they lose."""

_CACHE_KIB: Final = 65_536
_WAL_LIMIT_BYTES: Final = 128 << 20
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


class Readers:
    """Connections for reading, lent to one thread at a time and kept for the next."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that cannot write.

        Raises
        ------
        StoreError
            When reading fails, or the store is closed.
        """
        if self._closed:
            raise StoreError(f"{self._path.parent} is closed.")
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = connect(self._path)
            connection.execute("PRAGMA query_only=1")
        try:
            yield connection
        except sqlite3.Error as error:
            raise StoreError(f"Reading {self._path} failed: {error}.") from error
        finally:
            self._give_back(connection)

    def close(self) -> None:
        """Close what is idle now, and what is lent once it comes back."""
        self._closed = True
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def _give_back(self, connection: sqlite3.Connection) -> None:
        self._idle.put(connection)
        if self._closed:
            self.close()


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
            _fsync_folder(made.parent)
    except OSError as error:
        raise StoreError(f"The folder {folder} cannot be used: {error.strerror}.") from error


def _fsync_folder(folder: Path) -> None:
    if os.name == "nt":  # pragma: no cover - Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

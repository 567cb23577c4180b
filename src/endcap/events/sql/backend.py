"""What the shared code asks of a database."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from endcap.events.sql.committer import Committer
from endcap.events.sql.rows import Values


class Cursor(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """Rows deleted or changed."""

    def fetchone(self) -> Any:
        """Return the next row as a tuple, or None."""

    def fetchmany(self, size: int, /) -> list[Any]:
        """Return the next rows as tuples, none at the end."""

    def fetchall(self) -> list[Any]:
        """Return the rows as tuples."""


class Session(Protocol):
    """A connection; its statements bind values to ``?``."""

    def execute(self, sql: str, bound: Sequence[Any] = ..., /) -> Cursor:
        """Run a statement."""


class Readers(Protocol):
    """Connections for reading."""

    def lend(self) -> AbstractContextManager[Any]:
        """Lend a `Session` that does not write; raises `StoreError` when reading fails."""

    def close(self) -> None:
        """Close them all."""


class Dialect(Protocol):
    """Where databases differ."""

    unlike: ClassVar[str]
    """Compares rows, null being like null: ``IS NOT`` or ``IS DISTINCT FROM``."""

    holds: ClassVar[str]
    """Whether the bytes in column ``{}`` hold others."""
    wipe: ClassVar[tuple[str, ...]]
    """From here on what is deleted is overwritten, as far as the database can."""
    unwipe: ClassVar[tuple[str, ...]]

    def insert(
        self, session: Any, table: str, columns: Sequence[str], values: Sequence[Values], tail: str
    ) -> int:
        """Insert rows, given by column, with ``ON CONFLICT …``; return how many rows changed."""

    def among(self, key: str, ids: Sequence[str]) -> tuple[str, Sequence[Any]]:
        """Return a WHERE clause for any number of ids, and what it binds."""


@dataclass(frozen=True, slots=True)
class Database:
    """What writes, what reads, and how to say it."""

    committer: Committer
    readers: Readers
    dialect: Dialect

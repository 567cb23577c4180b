"""Where SQLite differs from other databases."""

import json
import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import ClassVar, Final

from endcap.events.sql.rows import Values, names_sql

TOGETHER: Final = 100
"""Rows of one statement: the driver lets go of the interpreter for each statement, and beside a
busy server waits for it as often. By itself it is a quarter slower than a row at a time."""
IMPORTED: Final = 2_000
"""So many rows at once come from an import, which has the interpreter for itself."""


class SQLiteDialect:
    """A `Dialect`."""

    unlike: ClassVar[str] = "IS NOT"
    holds: ClassVar[str] = "instr({}, ?) > 0"
    wipe: ClassVar[tuple[str, ...]] = ("PRAGMA secure_delete=1",)
    unwipe: ClassVar[tuple[str, ...]] = ("PRAGMA secure_delete=0",)

    def insert(
        self,
        session: sqlite3.Connection,
        table: str,
        columns: Sequence[str],
        values: Sequence[Values],
        tail: str,
    ) -> int:
        """See `Dialect.insert`."""
        rows, new, names = list(zip(*values, strict=True)), 0, tuple(columns)
        whole = len(rows) // TOGETHER * TOGETHER if len(rows) < IMPORTED else 0
        many = insertion(table, names, tail, TOGETHER)
        # `total_changes` would count what triggers write as well.
        for start in range(0, whole, TOGETHER):
            cells = [cell for row in rows[start : start + TOGETHER] for cell in row]
            new += session.execute(many, cells).rowcount
        if rest := rows[whole:]:
            new += session.executemany(insertion(table, names, tail), rest).rowcount
        return new

    def among(self, key: str, ids: Sequence[str]) -> tuple[str, tuple[str]]:
        """See `Dialect.among`: SQLite limits how many parameters a statement may have."""
        return f"WHERE {key} IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),)


@cache
def insertion(table: str, columns: tuple[str, ...], tail: str, rows: int = 1) -> str:
    """Return the statement that inserts so many rows."""
    marks = ", ".join("?" * len(columns))
    each = ", ".join([f"({marks})"] * rows)
    return f"INSERT INTO {table} ({names_sql(columns)}) VALUES {each} {tail}"

"""Where SQLite differs from other databases."""

import json
import sqlite3
from collections.abc import Sequence
from typing import ClassVar

from endcap.events.sql.rows import Values, names_sql


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
        sql = insertion(table, columns, tail)
        # `total_changes` would count what triggers write as well.
        return session.executemany(sql, zip(*values, strict=True)).rowcount

    def among(self, key: str, ids: Sequence[str]) -> tuple[str, tuple[str]]:
        """See `Dialect.among`: SQLite limits how many parameters a statement may have."""
        return f"WHERE {key} IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),)


def insertion(table: str, columns: Sequence[str], tail: str) -> str:
    """Return the statement that inserts one row."""
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({names_sql(columns)}) VALUES ({marks}) {tail}"

"""Where PostgreSQL differs from other databases."""

from collections.abc import Sequence
from functools import cache
from typing import ClassVar, Final

import sqlalchemy as sa

from endcap.events.postgres.engine import Session
from endcap.events.sql.rows import Values, names_sql
from endcap.events.sql.tables import METADATA

_ARRAYS: Final = {sa.Text: "text[]", sa.BigInteger: "int8[]", sa.Float: "float8[]"}


class PostgresDialect:
    """A `Dialect`."""

    unlike: ClassVar[str] = "IS DISTINCT FROM"
    holds: ClassVar[str] = "position(?::bytea in {}) > 0"
    wipe: ClassVar[tuple[str, ...]] = ()  # autovacuum reuses what dead rows took
    unwipe: ClassVar[tuple[str, ...]] = ()

    def insert(
        self,
        session: Session,
        table: str,
        columns: Sequence[str],
        values: Sequence[Values],
        tail: str,
    ) -> int:
        """See `Dialect.insert`; one statement, or one for each repeat of a key to be replaced."""
        sql = _insert(table, tuple(columns), tail)
        if "DO UPDATE" not in tail:
            return session.execute(sql, values).rowcount
        changed = 0
        for rows in rounds(values[0]):
            part = [[column[row] for row in rows] for column in values]
            changed += session.execute(sql, part).rowcount
        return changed

    def among(self, key: str, ids: Sequence[str]) -> tuple[str, list[list[str]]]:
        """See `Dialect.among`."""
        return f"WHERE {key} = ANY(?::text[])", [list(ids)]


def rounds(keys: Values) -> list[list[int]]:
    """Return the rows in rounds: the first of each key, the second of each that has one, …

    A statement may replace a row only once, and the last row of a key must win.

    Examples
    --------
    >>> rounds(["a", "b", "a"])
    [[0, 1], [2]]
    """
    out: list[list[int]] = []
    seen: dict[str, int] = {}
    for row, key in enumerate(keys):
        nth = seen.get(key, 0)
        seen[key] = nth + 1
        if nth == len(out):
            out.append([])
        out[nth].append(row)
    return out


@cache
def _insert(table: str, columns: tuple[str, ...], tail: str) -> str:
    kinds = METADATA.tables[table].c
    arrays = ", ".join(f"?::{_ARRAYS[type(kinds[name].type)]}" for name in columns)
    return f"INSERT INTO {table} ({names_sql(columns)}) SELECT * FROM unnest({arrays}) {tail}"

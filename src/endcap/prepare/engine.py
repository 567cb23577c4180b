"""Run Ibis expressions on DuckDB: the language is portable, the engine is one laptop's.

The steps of `prepare` are functions from expression to expression. This module alone knows which
engine runs them: it compiles an expression to SQL, keeps the result as a table, and hands Arrow
back. See docs/decisions/0004-duckdb-ibis-prepare.md.
"""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.expr.operations import Node

from endcap.schema.errors import DataError
from endcap.schema.settings import PrepareSettings
from endcap.schema.tables import EVENTS

Source = Iterable[pa.RecordBatch] | Path | str
"""Batches, or the path of a Parquet file; a table is its batches."""


class Engine:
    """One DuckDB connection, and names for what it holds."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._duckdb = connection
        self._names = (f"t{n}" for n in itertools.count())

    def source(self, source: Source) -> ir.Table:
        """Return events, wherever they are, as an expression; batches are read only once.

        Raises
        ------
        DataError
            When a path is no readable Parquet file.
        """
        name = next(self._names)
        if isinstance(source, Path | str):
            return self._parquet(name, str(source))
        held: Any = source if hasattr(source, "schema") else _reader(source)
        self._duckdb.register(name, held)
        return ibis.table(ibis.Schema.from_pyarrow(_plain(held.schema)), name=name)

    def _parquet(self, name: str, path: str) -> ir.Table:
        try:
            self._duckdb.read_parquet(path).create_view(name)
        except duckdb.Error as error:
            raise DataError(f"{path} is no readable Parquet file: {error}.") from error
        schema = self._duckdb.sql(f"select * from {name} limit 0").to_arrow_table().schema
        return ibis.table(ibis.Schema.from_pyarrow(_plain(schema)), name=name)

    def keep(self, expression: ir.Table) -> ir.Table:
        """Run an expression now and keep its rows; return them as a new table."""
        name = next(self._names)
        self._duckdb.execute(f"create temp table {name} as {_sql(expression)}")
        return ibis.table(expression.schema(), name=name)

    def drop(self, *tables: ir.Table) -> None:
        """Forget kept tables and give their memory back."""
        for table in tables:
            self._duckdb.execute(f"drop table if exists {table.get_name()}")

    def arrow(self, expression: ir.Table) -> pa.Table:
        """Run an expression and return its rows."""
        return self._duckdb.sql(_sql(expression)).to_arrow_table()

    def rows(self, expression: ir.Table) -> list[dict[str, Any]]:
        """Run an expression of few rows and return them as dicts."""
        found: list[dict[str, Any]] = self.arrow(expression).to_pylist()
        return found

    def count(self, table: ir.Table) -> int:
        """Return the number of rows of a kept table."""
        (found,) = self._duckdb.execute(f"select count(*) from {table.get_name()}").fetchall()
        return int(found[0])


@contextmanager
def engine(settings: PrepareSettings) -> Iterator[Engine]:
    """Open an engine within the limits of `settings`; what does not fit spills to a folder."""
    with TemporaryDirectory(prefix="endcap-") as folder:
        config: dict[str, Any] = {
            "memory_limit": f"{settings.memory_mb}MB",
            "temp_directory": folder,
            "preserve_insertion_order": False,
        }
        if settings.threads:
            config["threads"] = settings.threads
        with duckdb.connect(config=config) as connection:
            yield Engine(connection)


def _sql(expression: ir.Table) -> str:
    return _compiled(expression.op())


@lru_cache(maxsize=256)
def _compiled(node: Node) -> str:
    """Compile once: ten milliseconds each, and a second run asks the very same questions."""
    return str(ibis.to_sql(node.to_expr(), dialect="duckdb"))


def _reader(batches: Iterable[pa.RecordBatch]) -> pa.RecordBatchReader | pa.Table:
    rest = iter(batches)
    first = next(rest, None)
    if first is None:
        return EVENTS.empty_table()
    return pa.RecordBatchReader.from_batches(first.schema, itertools.chain([first], rest))


def _plain(schema: pa.Schema) -> pa.Schema:
    """Replace dictionary types by their values': Ibis knows no dictionaries."""
    return pa.schema(
        f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in schema
    )

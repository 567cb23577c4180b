"""Scanning the event log on PostgreSQL: CSV from the server's COPY, parsed by Arrow."""

import io
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from endcap.events.postgres.appending import CHUNK_BYTES, Append
from endcap.events.postgres.engine import ESCAPE, Session, unescaped
from endcap.events.sql import rows
from endcap.events.sql.log import SQLEventLog, microseconds, schema_of
from endcap.events.store import Receipt


class PostgresEventLog(SQLEventLog):
    """An `EventLog` streamed by the server."""

    def storing(self, events: pa.Table, settle: Callable[[Any, int], Receipt]) -> Append:
        """See `SQLEventLog.storing`."""
        return Append(events, lambda session, new: settle(session, sum(new)))

    def storing_each(
        self, events: pa.Table, settle: Callable[[Any, list[bool]], list[bool]]
    ) -> Append:
        """See `SQLEventLog.storing_each`."""
        return Append(events, settle)

    def scan(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        kinds: Sequence[str] | None = None,
        actor: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """See `SQLEventLog.scan`.

        Memory is that of one batch (1 MiB as text). A connection is held until the scan ends.
        """
        terms = ["seq <= %s"]
        bound: list[Any] = [self.newest()]
        for term, value in (
            ("time >= %s", None if since is None else microseconds(since)),
            ("time < %s", None if until is None else microseconds(until)),
            ("kind = ANY(%s::text[])", None if kinds is None else list(kinds)),
            ("actor = %s", actor),
        ):
            if value is not None:
                terms.append(term)
                bound.append(value)
        schema = schema_of(columns)
        select = f"SELECT {rows.names_sql(schema.names)} FROM events"
        sql = f"{select} WHERE {' AND '.join(terms)} ORDER BY time, seq"
        return self._copied(sql, bound, schema)

    def _copied(
        self, sql: str, bound: Sequence[Any], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        with self._database.readers.lend() as session:
            for chunk in _chunks(session, f"COPY ({sql}) TO STDOUT (FORMAT csv)", bound):
                yield _parsed(chunk, schema)


def _chunks(session: Session, sql: str, bound: Sequence[Any]) -> Iterator[bytes]:
    """Yield whole rows of CSV, some megabytes at a time."""
    chunk = bytearray()
    with session.connection.cursor() as cursor, cursor.copy(sql, bound) as copy:
        for block in copy:
            chunk += block
            if len(chunk) >= CHUNK_BYTES:
                yield bytes(chunk)
                chunk.clear()
    if chunk:
        yield bytes(chunk)


def _parsed(text: bytes, schema: pa.Schema) -> pa.RecordBatch:
    table = csv.read_csv(
        io.BytesIO(text),
        csv.ReadOptions(column_names=schema.names, use_threads=False, block_size=len(text) + 1),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types={field.name: _carried(field.type) for field in schema},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    columns = zip(table.columns, schema, strict=True)
    arrays = [_restored(column.combine_chunks(), field.type) for column, field in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _carried(kind: pa.DataType) -> pa.DataType:
    exact = pa.types.is_timestamp(kind) or pa.types.is_decimal(kind)
    return pa.int64() if exact else kind


def _restored(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return array.cast(kind)
    if pa.types.is_decimal(kind):
        return rows.decimals(array, kind)
    if pa.types.is_string(kind) and pc.any(pc.match_substring(array, ESCAPE)).as_py():
        return pa.array([v and unescaped(v) for v in array.to_pylist()], kind)
    return array

"""Parquet files, a row group at a time: a damaged group is one fault."""

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from endcap.events.reading.source import Cells, Piece, Rename, Source
from endcap.events.validate.faults import Fault

_BATCH: Final = 8192


def parquet_columns(source: Source) -> list[str]:
    """Return the names of the columns; empty when it is no readable Parquet file."""
    try:
        return list(pq.read_schema(source.path).names)
    except (pa.ArrowException, OSError):
        return []


def read_parquet(source: Source, rename: Rename = list) -> Iterator[Piece]:
    """Yield each row as a fresh dict; NaN, how data frames write a gap, becomes None."""
    source.consumed = 0
    try:
        file = pq.ParquetFile(source.path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        yield _broken(source, 1, f"its directory at the end cannot be read ({_first(error)})")
        return
    with file:
        done = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            yield from _group(source, file, group, done, rename)
            done += rows
            source.consumed = source.size * done // max(file.metadata.num_rows, 1)


def _group(
    source: Source, file: pq.ParquetFile, group: int, done: int, rename: Rename
) -> Iterator[Piece]:
    line = done
    share = source.size / max(file.metadata.num_rows, 1)
    try:
        for batch in file.iter_batches(_BATCH, row_groups=[group]):
            given = batch.schema.names
            names = rename(given)
            columns = [_values(column) for column in batch.columns]
            for cells in zip(*columns, strict=True):
                line += 1
                yield Piece(line, dict(zip(names, cells)), Cells(given, cells))  # noqa: B905
            source.consumed = int(share * line)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        last = done + file.metadata.row_group(group).num_rows
        yield _broken(source, line + 1, f"rows {line + 1} to {last} are damaged ({_first(error)})")


def _values(column: pa.Array) -> list[Any]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
    elif pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    elif pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    values: list[Any] = column.to_pylist()
    return values


def _broken(source: Source, line: int, why: str) -> Piece:
    detail = f"{source.path.name}: {why}."
    return Piece(line, Fault("damaged", detail), f"{source.path.name}:{line}: {why}")


def _first(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]

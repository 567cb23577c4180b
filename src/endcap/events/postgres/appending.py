"""Events on their way into the log: all that a group of jobs brings, in one COPY.

A statement for each job would cost a round trip for each, in which the committing thread waits
for the server and then for its turn to run.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from endcap.events.postgres.engine import ESCAPE, Session, escaped
from endcap.events.sql import rows
from endcap.schema.actors import VISITOR_PREFIX
from endcap.schema.tables import EVENTS

PEN: Final = "SELECT pg_advisory_xact_lock(hashtextextended('endcap.' || current_schema(), 0))"
"""One transaction writes at a time, over all processes: then `seq` grows in the order of commits,
so whoever reads on from the newest misses nothing, and no two batches can deadlock over ids. It is
taken up once all rows are there: of who is cut off while sending, a server awaits the rest."""
COLUMNS: Final = (*EVENTS.names, "actor")
CHUNK_BYTES: Final = 1 << 20


def _type(kind: pa.DataType) -> str:
    if pa.types.is_string(kind):
        return "text"
    return "double precision" if pa.types.is_floating(kind) else "bigint"


_TYPES: Final = [*(_type(field.type) for field in EVENTS), "text"]
STAGE: Final = (
    "CREATE TEMPORARY TABLE arriving ("
    + ", ".join(f'"{name}" {kind}' for name, kind in zip(COLUMNS, _TYPES, strict=True))
    + ") ON COMMIT DELETE ROWS"
)
"""Made once for each connection that writes."""
_NAMES: Final = rows.names_sql(COLUMNS)
_APPEND: Final = (
    f"INSERT INTO events ({_NAMES}) SELECT {_NAMES} FROM arriving "
    "ON CONFLICT (event_id) DO NOTHING RETURNING event_id"
)


@dataclass(frozen=True, slots=True)
class Append:
    """A job of the committer: rows of schema `EVENTS`, and what is made of which were new."""

    events: pa.Table
    settle: Callable[[Any, list[bool]], Any]

    def __call__(self, session: Session) -> Any:
        """Store these rows alone."""
        return append(session, [self])[0]


def append(session: Session, jobs: Sequence[Append]) -> list[Any]:
    """Store the rows of all jobs; an event that several bring is stored for the first of them."""
    events = pa.concat_tables([job.events for job in jobs])
    if events.num_rows:
        fresh = _stored(session, events)
    else:
        session.execute(PEN)
        fresh = set()
    return [job.settle(session, _taken(fresh, job.events)) for job in jobs]


def _taken(fresh: set[str], events: pa.Table) -> list[bool]:
    """Tell of each event whether it is fresh, and take it out: it is new only once."""
    if not fresh:
        return [False] * events.num_rows
    new = []
    for event_id in events["event_id"].to_pylist():
        new.append(event_id in fresh)
        fresh.discard(event_id)
    return new


def _stored(session: Session, events: pa.Table) -> set[str]:
    """Store what is new and return its ids."""
    table = _textual(events)
    names = rows.names_sql(table.column_names)
    text = io.BytesIO()
    csv.write_csv(table, text, csv.WriteOptions(include_header=False, quoting_style="needed"))
    content = text.getbuffer()
    with session.connection.cursor() as cursor:
        with cursor.copy(f"COPY arriving ({names}) FROM STDIN (FORMAT csv)") as copy:
            for start in range(0, len(content), CHUNK_BYTES):
                copy.write(content[start : start + CHUNK_BYTES])
        cursor.execute(f"{PEN}; {_APPEND}", prepare=False)
        cursor.nextset()
        return {event_id for (event_id,) in cursor}


def _textual(events: pa.Table) -> pa.Table:
    """Return the columns that hold anything, as numbers and text that CSV carries exactly."""
    whole = events.combine_chunks()
    columns = {
        name: _carried(column.combine_chunks())
        for name, column in zip(whole.column_names, whole.columns, strict=True)
        if column.null_count < len(column)
    }
    return pa.table(columns | {"actor": _actors(columns, len(whole))})


def _carried(array: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(array.type):
        return array.cast(pa.int64())
    if pa.types.is_decimal(array.type):
        return rows.units(array)
    if pa.types.is_string(array.type) and pc.any(pc.match_substring_regex(array, _HOSTILE)).as_py():
        return pa.array([v and escaped(v) for v in array.to_pylist()], array.type)
    return array


_HOSTILE: Final = f"[\\x00{ESCAPE}]"


def _actors(columns: dict[str, pa.Array], count: int) -> pa.Array:
    """Return `schema.actors.actor` of each row."""
    nobody = pa.nulls(count, pa.string())
    user, visitor = (_unless_empty(columns.get(name, nobody)) for name in ("user_id", "visitor_id"))
    return pc.coalesce(user, pc.binary_join_element_wise(VISITOR_PREFIX, visitor, ""))


def _unless_empty(array: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(array, ""), None, array)

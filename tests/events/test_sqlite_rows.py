"""Arrow to SQLite values and back changes nothing."""

import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.events.sql import rows
from endcap.events.sqlite.dialect import SQLiteDialect
from endcap.schema.errors import DataError
from endcap.schema.tables import EVENTS, ITEMS
from endcap.testing.contracts.sample_rows import event, events, full_item, items, numbered

MONEY = st.decimals(min_value=-(10**14) + 1, max_value=10**14 - 1, places=4)
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    pa.string(): TEXT,
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.float64(): st.floats(allow_nan=False),
    EVENTS.field("time").type: TIMES,
    EVENTS.field("price").type: MONEY,
    ITEMS.field("categories").type: st.lists(TEXT),
}


def table(schema: pa.Schema) -> st.SearchStrategy[pa.Table]:
    columns = {
        f.name: VALUES[f.type] if not f.nullable else st.none() | VALUES[f.type] for f in schema
    }
    made = st.lists(st.fixed_dictionaries(columns), max_size=5)
    return made.map(lambda found: pa.Table.from_pylist(found, schema=schema))


def through_sqlite(data: pa.Table, *, all_columns: bool) -> pa.Table:
    """Bind, store without type affinity, select, decode."""
    names, values = rows.encode(data, all_columns=all_columns)
    database = sqlite3.connect(":memory:")
    quoted = rows.names_sql(data.schema.names)
    database.execute(f"CREATE TABLE t ({quoted})")
    if names:
        SQLiteDialect().insert(database, "t", names, values, "")
    found = database.execute(f"SELECT {quoted} FROM t ORDER BY rowid").fetchall()
    database.close()
    return pa.Table.from_batches([rows.decode(found, data.schema)])


@settings(max_examples=40, deadline=None)
@given(table(EVENTS))
def test_events_come_back_bit_for_bit(data: pa.Table) -> None:
    assert through_sqlite(data, all_columns=False).equals(data)


@settings(max_examples=40, deadline=None)
@given(table(ITEMS))
def test_items_come_back_bit_for_bit(data: pa.Table) -> None:
    assert through_sqlite(data, all_columns=True).equals(data)


def test_a_slice_of_many_chunks_comes_back() -> None:
    """Buffers of a slice start before its first row."""
    parts = [
        events(*(event(n, price=Decimal(n) if n % 2 else None) for n in range(k, k + 5)))
        for k in (0, 5, 10)
    ]
    data = pa.concat_tables(parts).slice(3, 9)
    assert through_sqlite(data, all_columns=False).equals(data.combine_chunks())


def test_columns_that_hold_nothing_are_left_out() -> None:
    names, values = rows.encode(numbered(0, 2))
    assert set(names) == {"event_id", "kind", "time", "received", "visitor_id", "item_id"}
    assert {len(column) for column in values} == {2}
    assert rows.encode(items(full_item("a", brand=None)), all_columns=True)[0] == (*ITEMS.names,)


def test_a_table_of_kindred_types_is_accepted() -> None:
    """Parquet readers drop 'not null'; milliseconds and large strings are no loss."""
    data = numbered(0, 3)
    loose = pa.schema([pa.field(f.name, f.type) for f in EVENTS])
    kindred = data.cast(loose)
    at = EVENTS.get_field_index("kind")
    kindred = kindred.set_column(at, "kind", kindred["kind"].cast(pa.large_string()))
    assert rows.conform(kindred, EVENTS).equals(data)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (numbered(0, 2).drop_columns(["kind"]), "kind"),
        (numbered(0, 2).append_column("colour", pa.array(["red", "blue"])), "colour"),
        (numbered(0, 2).select(EVENTS.names[::-1]), "event_id"),
        (events(event(1, item_id="a"), event(2, kind=None)), "kind"),
        (numbered(0, 2).set_column(1, "kind", pa.array([["a"], ["b"]])), "list"),
    ],
)
def test_what_does_not_fit_is_named(data: pa.Table, named: str) -> None:
    with pytest.raises(DataError, match=named):
        rows.conform(data, EVENTS)


def test_not_a_number_is_refused() -> None:
    with pytest.raises(DataError, match="NaN"):
        rows.conform(events(event(1), event(2, value=float("nan")), event(3, value=1.0)), EVENTS)

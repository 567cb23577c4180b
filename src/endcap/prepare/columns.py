"""Columns of external ids made into the tables of a `Dataset`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from endcap.prepare.vocabulary import Vocabulary
from endcap.schema.tables import ITEMS, TIME, USERS

INTERACTIONS = pa.schema(
    [
        pa.field("user", pa.int32(), nullable=False),
        pa.field("item", pa.int32(), nullable=False),
        pa.field("time", TIME, nullable=False),
        pa.field("kind", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("weight", pa.float32(), nullable=False),  # kind x recency, > 0
        pa.field("value", pa.float32()),  # stars; null where the event is no rating
        pa.field("session", pa.int64(), nullable=False),  # basket or visit; grows with time
    ]
)
"""One row for each event that carries preference, sorted by (user, time, arrival)."""


def parts_of(
    users: Sequence[str] | pa.Array,
    items: Sequence[str] | pa.Array,
    *,
    times: npt.ArrayLike | None,
    weights: npt.ArrayLike | None,
    values: npt.ArrayLike | None,
    kinds: Sequence[str] | pa.Array | None,
    sessions: npt.ArrayLike | None,
    catalogue: pa.Table | None,
    people: pa.Table | None,
) -> tuple[pa.Table, Vocabulary, Vocabulary, pa.Table, pa.Table]:
    """Return the fields of a `Dataset` in their order; see `Dataset.of` for the columns."""
    user_ids, item_ids = pa.array(users, pa.string()), pa.array(items, pa.string())
    n = len(user_ids)
    catalogue = conform(catalogue, ITEMS)
    people = conform(people, USERS)
    user_words = Vocabulary(pa.concat_arrays([user_ids, _column(people, "user_id")]))
    item_words = Vocabulary(pa.concat_arrays([item_ids, _column(catalogue, "item_id")]))
    user_rows, item_rows = user_words.rows(user_ids), item_words.rows(item_ids)
    when = np.arange(n, dtype=np.int64) if times is None else np.asarray(times, np.int64)
    order = np.lexsort((np.arange(n), when, user_rows))
    stars = np.full(n, np.nan) if values is None else np.asarray(values, np.float64)
    table = pa.table(
        {
            "user": user_rows[order],
            "item": item_rows[order],
            "time": pa.array(when[order]).cast(TIME),
            "kind": pa.array(["purchase"] * n if kinds is None else kinds, pa.string())
            .take(pa.array(order))
            .dictionary_encode()
            .cast(INTERACTIONS.field("kind").type),
            "weight": (np.ones(n) if weights is None else np.asarray(weights))[order],
            "value": pa.array(stars[order], pa.float32(), from_pandas=True),
            "session": (user_rows if sessions is None else np.asarray(sessions))[order],
        }
    ).cast(INTERACTIONS)
    return (
        table,
        user_words,
        item_words,
        align(catalogue, "item_id", item_words),
        align(people, "user_id", user_words),
    )


def align(table: pa.Table, key: str, words: Vocabulary) -> pa.Table:
    """Return one row for each id of `words`, in its order; the last row of an id wins."""
    rows = words.rows(table[key])
    place = np.full(len(words), -1, np.int64)
    place[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
    taken = table.take(pa.array(place, mask=place < 0))
    at = table.schema.get_field_index(key)
    return taken.set_column(at, table.schema.field(key), words.array)


def conform(table: pa.Table | None, schema: pa.Schema) -> pa.Table:
    """Return the columns of `schema`, cast; what `table` does not have is null."""
    if table is None:
        return schema.empty_table()
    columns: Mapping[str, Any] = {
        f.name: table[f.name].cast(f.type)
        if f.name in table.column_names
        else pa.nulls(table.num_rows, f.type)
        for f in schema
    }
    return pa.table(columns, schema=schema)


def _column(table: pa.Table, name: str) -> pa.Array:
    return table[name].combine_chunks()

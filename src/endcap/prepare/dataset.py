"""The immutable snapshot from which models learn."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

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


class Sequences(NamedTuple):
    """Each user's events, oldest first: user u owns ``indptr[u]:indptr[u + 1]``."""

    indptr: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    times: npt.NDArray[np.int64]  # UTC microseconds
    weights: npt.NDArray[np.float32]
    values: npt.NDArray[np.float32]  # NaN where the event is no rating
    sessions: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int8]  # index into `Dataset.kind_names`


@dataclass(frozen=True)
class Dataset:
    """Interactions in row numbers, with the vocabularies and what is known of items and users.

    Attributes
    ----------
    interactions
        Table of schema `INTERACTIONS`.
    users, items
        Vocabularies. `items` holds the catalogue too, so an item nobody has touched has a row.
    item_table, user_table
        Schemas `ITEMS` and `USERS`, aligned: row i describes item row i; null where unknown.

    Stability: caller.
    """

    interactions: pa.Table
    users: Vocabulary
    items: Vocabulary
    item_table: pa.Table = field(repr=False)
    user_table: pa.Table = field(repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(number of users, number of items)."""
        return len(self.users), len(self.items)

    @cached_property
    def end(self) -> int:
        """Time of the last interaction, UTC microseconds; 0 when there is none."""
        last = pc.max(self.interactions["time"]).cast(pa.int64()).as_py()
        return int(last or 0)

    @property
    def kind_names(self) -> tuple[str, ...]:
        """The kinds of event that occur, and perhaps some that do not."""
        return tuple(self._kinds.dictionary.to_pylist())

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that name this very content in artefacts and reports."""
        digest = hashlib.sha256()
        for name in INTERACTIONS.names:
            column = self.column(name) if name != "kind" else None
            if column is not None:
                digest.update(np.ascontiguousarray(column).tobytes())
        for vocabulary in (self.users, self.items):
            for part in vocabulary.array.buffers()[1:]:
                digest.update(part or b"")
        return digest.hexdigest()[:16]

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return a numeric column: time as int64 microseconds, null values as NaN."""
        column = self.interactions[name]
        if name == "time":
            column = column.cast(pa.int64())
        elif name == "value":
            column = pc.fill_null(column, float("nan"))
        return np.asarray(column.to_numpy())

    def matrix(self, weight: str | None = "weight") -> sparse.csr_array:
        """Return users x items, CSR float32, sorted int32 indices, duplicates summed.

        Parameters
        ----------
        weight
            A numeric column of `interactions`; None puts 1 wherever there was any event.
        """
        users, items = self.column("user"), self.column("item")
        values = np.ones(len(users), np.float32) if weight is None else self.column(weight)
        out = sparse.coo_array(
            (values.astype(np.float32), (users, items)), shape=self.shape, dtype=np.float32
        ).tocsr()
        out.sum_duplicates()
        if weight is None:
            out.data[:] = 1.0
        return out

    def sequences(self) -> Sequences:
        """Return each user's events, oldest first."""
        return self._sequences

    @cached_property
    def _sequences(self) -> Sequences:
        counts = np.bincount(self.column("user"), minlength=len(self.users))
        return Sequences(
            np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            self.column("item"),
            self.column("time"),
            self.column("weight"),
            self.column("value"),
            self.column("session"),
            np.asarray(self._kinds.indices.to_numpy(zero_copy_only=False), np.int8),
        )

    @cached_property
    def _kinds(self) -> pa.DictionaryArray:
        column = self.interactions["kind"].unify_dictionaries().combine_chunks()
        return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column

    def of_kind(self, *kinds: str) -> npt.NDArray[np.bool_]:
        """Return bool (interactions,): which are of these kinds."""
        codes = [code for code, name in enumerate(self.kind_names) if name in kinds]
        return np.isin(self.sequences().kinds, codes)

    def where(self, mask: npt.NDArray[np.bool_]) -> "Dataset":
        """Return only the interactions where `mask` is true; vocabularies stay as they are."""
        kept = self.interactions.filter(pa.array(mask))
        return Dataset(kept, self.users, self.items, self.item_table, self.user_table)

    @classmethod
    def of(
        cls,
        users: Sequence[str] | pa.Array,
        items: Sequence[str] | pa.Array,
        *,
        times: npt.ArrayLike | None = None,
        weights: npt.ArrayLike | None = None,
        values: npt.ArrayLike | None = None,
        kinds: Sequence[str] | pa.Array | None = None,
        sessions: npt.ArrayLike | None = None,
        catalogue: pa.Table | None = None,
        people: pa.Table | None = None,
    ) -> "Dataset":
        """Build from parallel columns of external ids: one entry for each interaction.

        Parameters
        ----------
        users, items
            External ids (strings), length n.
        times
            UTC microseconds, int64 (n,); default: the order given.
        weights, values, kinds, sessions
            As in `INTERACTIONS`; defaults 1, null, ``"purchase"``, one session for each user.
        catalogue, people
            Tables with (some of) the columns of `ITEMS` and `USERS`.
        """
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
        return cls(
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

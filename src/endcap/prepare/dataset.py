"""The immutable snapshot from which models learn."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.prepare.vocabulary import Vocabulary

if TYPE_CHECKING:  # every model imports this file: see `endcap.prepare.vocabulary`
    import pyarrow as pa


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
        Table of schema `endcap.prepare.columns.INTERACTIONS`.
    users, items
        Vocabularies. `items` holds the catalogue too, so an item nobody has touched has a row.
    item_table, user_table
        Schemas `ITEMS` and `USERS` (`endcap.schema.tables`), aligned: row i describes item row i;
        null where unknown.

    Stability: caller.
    """

    interactions: "pa.Table"
    users: Vocabulary
    items: Vocabulary
    item_table: "pa.Table" = field(repr=False)
    user_table: "pa.Table" = field(repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(number of users, number of items)."""
        return len(self.users), len(self.items)

    @cached_property
    def end(self) -> int:
        """Time of the last interaction, UTC microseconds; 0 when there is none."""
        import pyarrow.compute as pc

        return int(pc.max(self.interactions["time"]).cast("int64").as_py() or 0)

    @property
    def kind_names(self) -> tuple[str, ...]:
        """The kinds of event that occur, and perhaps some that do not."""
        return tuple(self._kinds.dictionary.to_pylist())

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that name this very content in artefacts and reports."""
        digest = hashlib.sha256()
        for name in self.interactions.column_names:
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
            column = column.cast("int64")
        elif name == "value":
            column = column.fill_null(float("nan"))
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
    def _kinds(self) -> "pa.DictionaryArray":
        column = self.interactions["kind"].unify_dictionaries().combine_chunks()
        return column.chunk(0) if hasattr(column, "chunk") else column

    def of_kind(self, *kinds: str) -> npt.NDArray[np.bool_]:
        """Return bool (interactions,): which are of these kinds."""
        codes = [code for code, name in enumerate(self.kind_names) if name in kinds]
        return np.isin(self.sequences().kinds, codes)

    def where(self, mask: npt.NDArray[np.bool_]) -> "Dataset":
        """Return only the interactions where `mask` is true; vocabularies stay as they are."""
        kept = self.interactions.filter(mask)
        return Dataset(kept, self.users, self.items, self.item_table, self.user_table)

    @classmethod
    def of(
        cls,
        users: "Sequence[str] | pa.Array",
        items: "Sequence[str] | pa.Array",
        *,
        times: npt.ArrayLike | None = None,
        weights: npt.ArrayLike | None = None,
        values: npt.ArrayLike | None = None,
        kinds: "Sequence[str] | pa.Array | None" = None,
        sessions: npt.ArrayLike | None = None,
        catalogue: "pa.Table | None" = None,
        people: "pa.Table | None" = None,
    ) -> "Dataset":
        """Build from parallel columns of external ids: one entry for each interaction.

        Parameters
        ----------
        users, items
            External ids (strings), length n.
        times
            UTC microseconds, int64 (n,); default: the order given.
        weights, values, kinds, sessions
            As in `endcap.prepare.columns.INTERACTIONS`; defaults 1, null, ``"purchase"``, one
            session for each user.
        catalogue, people
            Tables with (some of) the columns of `ITEMS` and `USERS`.
        """
        from endcap.prepare.columns import parts_of

        return cls(
            *parts_of(
                users,
                items,
                times=times,
                weights=weights,
                values=values,
                kinds=kinds,
                sessions=sessions,
                catalogue=catalogue,
                people=people,
            )
        )

"""External ids to row numbers and back: done once on the way in, once on the way out."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # Arrow takes 28 MB: it comes with the first column, not with every model
    import pyarrow as pa

UNKNOWN = -1
FEW = 64
"""So many ids are read one by one in less time than it takes to prepare for all at once."""
Rows = npt.NDArray[np.int32]


class Vocabulary:
    """An immutable, sorted set of external ids; the position of an id is its row number.

    Sorting makes row numbers independent of the order in which data arrived.

    Parameters
    ----------
    ids
        External ids; duplicates and nulls are dropped.

    Examples
    --------
    >>> words = Vocabulary(["b", "a", "b"])
    >>> words.rows(["a", "z"]).tolist(), words.ids([1])
    ([0, -1], ['b'])
    """

    def __init__(self, ids: "Iterable[str | None] | pa.Array | pa.ChunkedArray") -> None:
        column: Any = ids
        if hasattr(column, "drop_null"):
            self.array = column.cast("string").unique().drop_null().sort()
        else:  # `str.__str__` refuses what is no text; by code points is by bytes of UTF-8
            self._words = sorted({str.__str__(word) for word in ids if word is not None})

    @classmethod
    def of_sorted(cls, ids: "pa.StringArray") -> Self:
        """Take ids that are sorted and distinct already, as a vocabulary was saved; no copy."""
        words = cls.__new__(cls)
        words.array = ids
        return words

    @cached_property
    def array(self) -> "pa.StringArray":
        """The ids as a column."""
        import pyarrow as pa

        return pa.array(self._words, pa.string())

    def __len__(self) -> int:
        return len(self._words if "_words" in self.__dict__ else self.array)

    def __contains__(self, external_id: object) -> bool:
        return external_id in self._row_of

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and bool(self.array.equals(other.array))

    def __hash__(self) -> int:
        return hash((len(self), str(self.array[0]) if len(self) else ""))

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} ids)"

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {external: row for row, external in enumerate(self._words)}

    def row(self, external_id: str) -> int:
        """Return the row number of one id, or -1 (`UNKNOWN`)."""
        return self._row_of.get(external_id, UNKNOWN)

    def places(self, ids: Iterable[str]) -> Rows:
        """Return the row number of each of a few ids, int32 (n,), -1 where unknown."""
        return np.fromiter(map(self._row_of.get, ids, repeat(UNKNOWN)), np.int32)

    def find(self, external_id: str) -> int:
        """Return the same as `row`, without a table of all ids: for a few of very many."""
        low, high = 0, len(self.array)
        while low < high:
            middle = (low + high) // 2
            if self.array[middle].as_py() < external_id:
                low = middle + 1
            else:
                high = middle
        found = low < len(self.array) and self.array[low].as_py() == external_id
        return low if found else UNKNOWN

    def rows(self, ids: "Sequence[str | None] | pa.Array | pa.ChunkedArray") -> Rows:
        """Return row numbers, int32 (n,), with -1 for ids that are unknown or null."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not isinstance(ids, pa.Array | pa.ChunkedArray):
            ids = pa.array(ids, pa.string())
        found = pc.index_in(ids.cast(pa.string()), value_set=self.array).fill_null(UNKNOWN)
        return np.asarray(
            found.to_numpy(zero_copy_only=False)
            if isinstance(found, pa.Array)
            else found.to_numpy(),
            dtype=np.int32,
        )

    def ids(self, rows: npt.ArrayLike) -> list[str]:
        """Return the external ids of row numbers; every row must exist."""
        wanted = np.asarray(rows)
        if len(wanted) <= FEW or "_words" in self.__dict__:
            words = self._words
            return [words[row] for row in wanted.tolist()]
        taken: list[str] = self.array.take(wanted.astype(np.int64)).to_pylist()
        return taken

    @cached_property
    def _words(self) -> list[str]:
        """The ids as a list, whose strings are those that the table of rows holds."""
        words: list[str] = self.array.to_pylist()
        return words

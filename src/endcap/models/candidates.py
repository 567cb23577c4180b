"""Ragged results: at most k items for each query, best first, no padding."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Candidates:
    """Items proposed for each of n queries.

    Attributes
    ----------
    indptr
        int64 (n + 1,): query q owns the entries ``indptr[q]:indptr[q + 1]``.
    items
        int32 (nnz,): item row numbers, best first within each query, none repeated.
    scores
        float32 (nnz,): comparable within a query; NaN where a model cannot say.
    source
        uint8 (nnz,): which retriever proposed the item (an index into the pipeline's list).

    Stability: caller.
    """

    indptr: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    source: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def row(self, query: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return (items, scores) of one query."""
        span = slice(self.indptr[query], self.indptr[query + 1])
        return self.items[span], self.scores[span]

    @property
    def query_of(self) -> npt.NDArray[np.int64]:
        """int64 (nnz,): the query that owns each entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def with_scores(self, scores: npt.NDArray[np.float32]) -> "Candidates":
        """Return the same items in the same order under other scores."""
        return Candidates(self.indptr, self.items, scores.astype(np.float32), self.source)

    def keep(self, mask: npt.NDArray[np.bool_]) -> "Candidates":
        """Return only the entries where `mask`, bool (nnz,), is true."""
        kept = np.bincount(self.query_of[mask], minlength=len(self))
        return Candidates(
            np.concatenate(([0], np.cumsum(kept))).astype(np.int64),
            self.items[mask],
            self.scores[mask],
            self.source[mask],
        )

    def sorted(self) -> "Candidates":
        """Return each query's entries by falling score; NaN last, ties by row number."""
        order = np.lexsort((self.items, -np.nan_to_num(self.scores, nan=-np.inf), self.query_of))
        return Candidates(self.indptr, self.items[order], self.scores[order], self.source[order])

    def top(self, k: int) -> "Candidates":
        """Return the first k entries of each query, in their present order."""
        place = np.arange(len(self.items)) - np.repeat(self.indptr[:-1], np.diff(self.indptr))
        return self.keep(place < k)

    @classmethod
    def of(
        cls,
        items: Sequence[npt.ArrayLike],
        scores: Sequence[npt.ArrayLike] | None = None,
        source: int = 0,
    ) -> "Candidates":
        """Build from one array of items (and of scores) for each query."""
        rows = [np.asarray(row, dtype=np.int32) for row in items]
        flat = np.concatenate(rows) if rows else np.empty(0, np.int32)
        values = np.full(len(flat), np.nan, np.float32)
        if scores is not None and len(flat):
            values = np.concatenate([np.asarray(s, dtype=np.float32) for s in scores])
        indptr = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
        return cls(indptr, flat, values, np.full(len(flat), source, dtype=np.uint8))


def merge(parts: Sequence[Candidates]) -> Candidates:
    """Join what several retrievers proposed for the same queries; the first proposer keeps an item.

    Scores of different sources are not comparable: rank the result before you read it.
    """
    query = np.concatenate([part.query_of for part in parts])
    items = np.concatenate([part.items for part in parts])
    arrival = np.arange(len(items))
    order = np.lexsort((arrival, items, query))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(query[order]) != 0) | (np.diff(items[order]) != 0)
    chosen = np.sort(order[first])
    chosen = chosen[np.argsort(query[chosen], kind="stable")]
    counts = np.bincount(query[chosen], minlength=len(parts[0]))
    return Candidates(
        np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        items[chosen],
        np.concatenate([part.scores for part in parts])[chosen],
        np.concatenate([part.source for part in parts])[chosen],
    )

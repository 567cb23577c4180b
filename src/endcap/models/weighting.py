"""How much each interaction and each past event counts, alike in training and in answering."""

from typing import Any, Final, Literal, get_args

import numba
import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.models.base import Spec
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset

Confidence = Literal["binary", "weight", "log"]


class HistorySpec(Spec):
    """Settings of every model that reads a history as a bag of items.

    Stability: implementer.
    """

    confidence: Confidence = "binary"
    """How often and how strongly: ``binary`` forgets it, ``weight`` sums it, ``log`` damps it."""
    decay_events: float = pydantic.Field(default=0.0, ge=0)
    """When answering, an event counts 1/e after this many newer ones; 0 never fades."""

    kinds: tuple[str, ...] = ()
    """The kinds of event that are heard, in training and in answering; none named hears all."""

    def heard(self, data: Dataset) -> Dataset:
        """Return only the events that this model hears."""
        return data.where(data.of_kind(*self.kinds)) if self.kinds else data

    def train_matrix(self, data: Dataset) -> sparse.csr_array:
        """Return users x items, float32, as this model sees the interactions."""
        data = self.heard(data)
        matrix = data.matrix(None if self.confidence == "binary" else "weight")
        if self.confidence == "log":
            matrix.data = np.log1p(matrix.data)
        return matrix

    def event_weights(self, queries: Queries) -> npt.NDArray[np.float32]:
        """Return float32 (h,): the part of each past event, 0 for unknown items.

        What an item counts, ``f(sum of its weights) x decay of its newest event``, is shared out
        over its events in proportion to their weights, so that the parts of a history sum to
        the very row that `train_matrix` holds of it (but for the decay).
        """
        shares: npt.NDArray[np.float32] = _parts(self._history(queries), self._rules)
        return shares

    def event_weights_without(
        self, query: Queries, groups: npt.NDArray[np.int64], n: int
    ) -> npt.NDArray[np.float32]:
        """Return float32 (n, h): the parts had the events of each group not happened.

        What a group holds has no part in its row.

        Parameters
        ----------
        query
            Exactly one.
        groups, n
            As in `Queries.leaving_out`.
        """
        if type(self).event_weights is not HistorySpec.event_weights:
            shares = np.zeros((n, len(query.items)), np.float32)
            left = self.event_weights(query.leaving_out(groups, n))
            shares[groups[None, :] != np.arange(n)[:, None]] = left
            return shares
        out: npt.NDArray[np.float32] = _parts_without(self._history(query), self._rules, groups, n)
        return out

    def _history(self, queries: Queries) -> tuple[npt.NDArray[Any], ...]:
        heard = queries.of_kind(dict.fromkeys(self.kinds, 1.0)) if self.kinds else _ALL
        return queries.indptr, queries.items, queries.weights, heard

    @property
    def _rules(self) -> tuple[int, float]:
        return _CONFIDENCE.index(self.confidence), self.decay_events


_CONFIDENCE: Final = get_args(Confidence)
_ALL: Final = np.empty(0, np.float32)


@numba.njit(cache=True, nogil=True)
def _parts(history, rules):  # type: ignore[no-untyped-def]
    """See `HistorySpec.event_weights`; `heard` is empty where every event is."""
    (indptr, items, weights, heard), (confidence, decay) = history, rules
    out = np.zeros(len(items), np.float32)
    for q in range(len(indptr) - 1):
        start, stop = indptr[q], indptr[q + 1]
        order = np.argsort(items[start:stop], kind="mergesort")
        age = np.zeros(stop - start, np.int64)  # how many events came later
        newer = 0
        for a in range(stop - 1, start - 1, -1):
            age[a - start] = newer
            newer += 1 if len(heard) == 0 or heard[a] > 0 else 0
        first = 0
        while first < len(order):
            item = items[start + order[first]]
            last, total = first, 0.0
            while last < len(order) and items[start + order[last]] == item:
                a = start + order[last]
                if len(heard) == 0 or heard[a] > 0:
                    total += max(np.float64(weights[a]), 0.0)
                last += 1
            if item >= 0 and total > 0:
                value = 1.0 if confidence == 0 else (total if confidence == 1 else np.log1p(total))
                if decay > 0:  # by the newest: its place is the last
                    value *= np.exp(-age[order[last - 1]] / decay)
                for c in range(first, last):
                    a = start + order[c]
                    if len(heard) == 0 or heard[a] > 0:
                        out[a] = value * (max(np.float64(weights[a]), 0.0) / total)
            first = last
    return out


@numba.njit(cache=True, nogil=True)
def _parts_without(history, rules, groups, n):  # type: ignore[no-untyped-def]
    """See `HistorySpec.event_weights_without`."""
    _, items, weights, heard = history
    out = np.zeros((n, len(items)), np.float32)
    for group in range(n):
        kept = np.flatnonzero(groups != group)
        ends = np.array([0, len(kept)])
        of_kept = ends, items[kept], weights[kept], heard[kept] if len(heard) else heard
        out[group][kept] = _parts(of_kept, rules)
    return out


def scale_rows(matrix: sparse.csr_array, factors: npt.NDArray[np.floating]) -> sparse.csr_array:
    """Return `matrix` with row r multiplied by ``factors[r]``, float32."""
    repeated = factors.astype(np.float32)[rows_of(matrix)]
    return sparse.csr_array(
        (matrix.data * repeated, matrix.indices, matrix.indptr), shape=matrix.shape
    )


def scale_columns(matrix: sparse.csr_array, factors: npt.NDArray[np.floating]) -> sparse.csr_array:
    """Return `matrix` with column c multiplied by ``factors[c]``, float32."""
    data = matrix.data * factors.astype(np.float32)[matrix.indices]
    return sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def power(counts: npt.NDArray[Any], exponent: float) -> npt.NDArray[np.float64]:
    """Return ``counts ** exponent`` with 1 where nothing was counted."""
    raised: npt.NDArray[np.float64] = np.where(counts > 0, counts, 1.0).astype(float) ** exponent
    return raised


def rows_of(matrix: sparse.csr_array) -> npt.NDArray[np.int64]:
    """Return int64 (nnz,): the row of each stored entry."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def parts(
    matrix: sparse.csr_array, dtype: npt.DTypeLike = np.float32
) -> tuple[npt.NDArray[np.integer], ...]:
    """Return (indptr, indices, data) for a kernel, of types that never vary but for `dtype`."""
    return (
        matrix.indptr.astype(np.int64, copy=False),
        matrix.indices.astype(np.int32, copy=False),
        matrix.data.astype(dtype, copy=False),
    )


def idf(documents: sparse.csr_array) -> npt.NDArray[np.float64]:
    """Return float64 (n_words,): ``log(1 + (n - n_w + 0.5) / (n_w + 0.5))``, above 0."""
    counts = np.bincount(documents.indices, minlength=documents.shape[1])
    rarity: npt.NDArray[np.float64] = (documents.shape[0] - counts + 0.5) / (counts + 0.5)
    return np.log1p(rarity)


def tf_idf(documents: sparse.csr_array) -> sparse.csr_array:
    """Return ``sqrt(w) x idf`` for rows that are documents and columns that are words."""
    damped = sparse.csr_array(
        (np.sqrt(documents.data), documents.indices, documents.indptr), shape=documents.shape
    )
    return scale_columns(damped, idf(documents))


def bm25(documents: sparse.csr_array, k1: float, b: float) -> sparse.csr_array:
    """Return Okapi BM25 weights for rows that are documents and columns that are words.

    ``idf x (k1 + 1) w / (k1 (1 - b + b length / mean length) + w)`` (Robertson and Zaragoza 2009).
    """
    norm = _damping(documents, k1, b)
    data = _bm25(parts(documents), (norm, np.float32(k1 + 1)), idf(documents).astype(np.float32))
    return sparse.csr_array((data, documents.indices, documents.indptr), shape=documents.shape)


def bm25_once(documents: sparse.csr_array, k1: float, b: float) -> npt.NDArray[np.float32]:
    """Return float32 (n,): what `bm25` makes of a word of weight 1 in each document, but `idf`."""
    return np.asarray((k1 + 1) / (_damping(documents, k1, b) + 1), np.float32)


def _damping(documents: sparse.csr_array, k1: float, b: float) -> npt.NDArray[np.float32]:
    length = documents.sum(axis=1)
    mean = float(length.mean()) if len(length) else 1.0
    return np.asarray(k1 * (1 - b + b * length / max(mean, 1e-12)), np.float32)


@numba.njit(cache=True, nogil=True)
def _bm25(documents, damping, rarity):  # type: ignore[no-untyped-def]
    """A loop rather than arrays: no temporary is as long as the matrix."""
    (indptr, words, data), (norm, most) = documents, damping
    out = np.empty(len(data), np.float32)
    for row in range(len(norm)):
        for a in range(indptr[row], indptr[row + 1]):
            out[a] = data[a] * most / (norm[row] + data[a]) * rarity[words[a]]
    return out


def row_squares(matrix: sparse.csr_array) -> npt.NDArray[np.float64]:
    """Return float64 (n,): the squared norm of each row."""
    indptr, _, data = parts(matrix)
    found: npt.NDArray[np.float64] = _row_squares(indptr, data)
    return found


@numba.njit(cache=True, nogil=True)
def _row_squares(indptr, data):  # type: ignore[no-untyped-def]
    out = np.zeros(len(indptr) - 1)
    for row in range(len(out)):
        for a in range(indptr[row], indptr[row + 1]):
            out[row] += data[a] * data[a]
    return out

"""How alike items are, by their words or by their brand and categories, quickly.

What is counted in a text is kept, and pairs are summed once.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.features.text import TextSpec, count_texts

SPEC: Final = TextSpec(bits=16)
"""Fewer columns than a catalogue needs: a slate has hundreds of texts, and sums stay in cache."""
KEPT: Final = 20_000
"""Texts whose counts stay in memory, about 1.5 kB each."""
Counts = tuple[npt.NDArray[Any], npt.NDArray[Any]]


class Counted:
    """Counts of texts, kept from one slate to the next; safe to share between threads."""

    def __init__(self, keep: int = KEPT) -> None:
        self._keep = keep
        self._known: dict[str, Counts] = {}
        self._lock = threading.Lock()

    def of(self, texts: Sequence[str]) -> sparse.csr_array:
        """Return what `features.text.count_texts` does."""
        with self._lock:
            known = {text: self._known[text] for text in texts if text in self._known}
        fresh = list(dict.fromkeys(text for text in texts if text not in known))
        if fresh:
            counted = count_texts(fresh, SPEC)
            ends = counted.indptr
            for at, text in enumerate(fresh):
                span = slice(ends[at], ends[at + 1])
                known[text] = (counted.indices[span].copy(), counted.data[span].copy())
            self._remember({text: known[text] for text in fresh})
        rows = [known[text] for text in texts]
        indptr = np.concatenate(([0], np.cumsum([len(row[0]) for row in rows])))
        indices, counts = (np.concatenate([row[side] for row in rows]) for side in (0, 1))
        return sparse.csr_array((counts, indices, indptr), shape=(len(texts), SPEC.columns))

    def __len__(self) -> int:
        return len(self._known)

    def _remember(self, fresh: dict[str, Counts]) -> None:
        with self._lock:
            if len(self._known) + len(fresh) > self._keep:
                self._known = {}  # what is asked for again soon is there again soon
            self._known |= dict(list(fresh.items())[: self._keep])


_COUNTED: Final = Counted()


def likeness(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return float32 (n, n): the cosine of the TF-IDF vectors of each two texts, 1 on the diagonal.

    How telling a word is, is learnt from these texts alone.
    """
    if not texts:
        return np.zeros((0, 0), np.float32)
    counts = _COUNTED.of(texts)
    alike: npt.NDArray[np.float32] = _cosines(
        counts.indptr.astype(np.int64),
        counts.indices.astype(np.int32),
        counts.data.astype(np.float32),
        SPEC.columns,
        SPEC.ngram_share,
    )
    return alike


def words(told: Mapping[str, Any]) -> str:
    """Return what an item is about: its title, brand and categories; any may be missing."""
    parts = [told.get("title"), told.get("brand"), *(told.get("categories") or ())]
    return " ".join(str(part) for part in parts if part)


def shared(named: Sequence[Sequence[str]]) -> npt.NDArray[np.float32]:
    """Return float32 (n, n): the cosine of the labels of each two items, 1 on the diagonal.

    A label that all of them bear tells nothing and does not count.
    """
    counts = Counter(chain.from_iterable(named))
    place = {label: at for at, label in enumerate(n for n, c in counts.items() if c < len(named))}
    rows = [[place[label] for label in row if label in place] for row in named]
    sizes = np.array([len(row) for row in rows], np.int64)
    ends = np.concatenate(([0], np.cumsum(sizes)))
    values = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes).astype(np.float32)
    columns = np.fromiter(chain.from_iterable(rows), np.int64, int(ends[-1]))
    vectors = sparse.csr_array((values, columns, ends), shape=(len(named), len(place)))
    alike: npt.NDArray[np.float32] = (vectors @ vectors.T).toarray()
    np.fill_diagonal(alike, 1.0)
    return alike


@numba.njit(cache=True, nogil=True)
def _cosines(ends, features, counts, width, share):  # type: ignore[no-untyped-def]
    """Multiply each two rows once, feature by feature."""
    n = len(ends) - 1
    start = np.zeros(width + 1, np.int32)
    for feature in features:
        start[feature + 1] += 1
    values = _weighed(ends, features, counts, start, share)
    for feature in range(width):
        start[feature + 1] += start[feature]
    owner = np.empty(len(features), np.int32)
    told = np.empty(len(features), np.float32)
    place = start.copy()
    for row in range(n):
        for at in range(ends[row], ends[row + 1]):
            to = place[features[at]]
            owner[to], told[to] = row, values[at]
            place[features[at]] = to + 1
    out = np.zeros((n, n), np.float32)
    for feature in range(width):
        for a in range(start[feature], start[feature + 1]):
            row = out[owner[a]]
            for b in range(a + 1, start[feature + 1]):
                row[owner[b]] += told[a] * told[b]
    for i in range(n):
        out[i, i] = 1.0
        for j in range(i):
            out[i, j] = out[j, i]
    return out


@numba.njit(cache=True, nogil=True)
def _weighed(ends, features, counts, held, share):  # type: ignore[no-untyped-def]
    """Weigh as `TextVectors.transform` does; ``held[f + 1]`` texts hold feature f."""
    n, half = len(ends) - 1, (len(held) - 1) // 2
    told = 0
    for row in range(n):
        told += ends[row + 1] > ends[row]
    rarity = np.log((1 + told) / (1 + np.arange(n + 1))) + 1
    values = np.empty(len(features), np.float32)
    for row in range(n):
        squares = np.zeros(2)
        for at in range(ends[row], ends[row + 1]):
            value = rarity[held[features[at] + 1]]
            if counts[at] != 1:
                value *= 1 + np.log(counts[at])
            values[at] = value
            squares[int(features[at] >= half)] += value * value
        parts = np.array([1 - share, share]) * (squares > 0)
        scale = np.sqrt(parts / max(parts.sum(), 1e-30) / np.maximum(squares, 1e-30))
        for at in range(ends[row], ends[row + 1]):
            values[at] *= scale[int(features[at] >= half)]
    return values

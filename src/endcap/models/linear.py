"""Models whose score is a sum over the history: they explain exactly."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numba
import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.models.base import Answers, Model, Opinion, Split
from endcap.models.candidates import Candidates
from endcap.models.listed import is_welcome, listed, may_come, place_in, slot_of
from endcap.models.queries import Queries
from endcap.models.weighting import HistorySpec

BINS = 1024
"""Of the histogram that says which scores are worth sorting."""
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SummedModel(Model):
    """Score of item j: sum over past events e of ``weight(e) x unit(e, j)``.

    The weight of an event may depend on what else there is; the unit does not.
    """

    answers: ClassVar[Answers] = Answers(explains=True)

    spec: HistorySpec

    @abstractmethod
    def units(self, query: Queries, items: npt.NDArray[np.int32]) -> Floats:
        """Return float32 (len(items), len(query.items)): what an event of weight 1 adds."""

    def weigh(self, queries: Queries) -> Floats:
        """Return float32 (h,): the weight of each event."""
        return self.spec.event_weights(queries)

    def contributions(self, query: Queries, items: npt.NDArray[np.int32]) -> Floats:
        """Return float32 (len(items), len(query.items)): the share of each past event."""
        return np.asarray(self.units(query, items) * self.weigh(query), np.float32)

    def left_out(
        self, query: Queries, items: npt.NDArray[np.int32], groups: npt.NDArray[np.int64], n: int
    ) -> Floats:
        """See `Model.left_out`: the sum, with the weights that the other events would have."""
        return self._without(self.units(query, items), query, groups, n)

    def split(self, query: Queries, items: npt.NDArray[np.int32]) -> Split:
        """See `Model.split`; the units are looked up once."""
        kind = type(self)
        own = kind.contributions, kind.left_out
        if own != (SummedModel.contributions, SummedModel.left_out):
            return super().split(query, items)
        units = self.units(query, items)
        return Split(
            np.asarray(units * self.weigh(query), np.float32),
            lambda groups, n: self._without(units, query, groups, n),
        )

    def _without(
        self, units: Floats, query: Queries, groups: npt.NDArray[np.int64], n: int
    ) -> Floats:
        if type(self).weigh is not SummedModel.weigh:
            return without(self.weigh, units, query, groups, n)
        weights = self.spec.event_weights_without(query, groups, n)
        return np.asarray(weights @ units.T, np.float32)


def without(
    weigh: Callable[[Queries], Floats],
    units: Floats,
    query: Queries,
    groups: npt.NDArray[np.int64],
    n: int,
) -> Floats:
    """Return float32 (n, n_items): sums over a history without the events of each group.

    Parameters
    ----------
    weigh
        Gives float32 (h,), the weight of each event.
    units
        float32 (n_items, h): what an event of weight 1 adds to the score of each item.
    """
    weights = np.zeros((n, len(query.items)), np.float32)
    weights[groups[None, :] != np.arange(n)[:, None]] = weigh(query.leaving_out(groups, n))
    return np.asarray(weights @ units.T, np.float32)


@dataclass(frozen=True)
class LinearModel(SummedModel):
    """Score of item j: sum over past events e of ``weight(e) x effects[item(e), j]``.

    Attributes
    ----------
    rows
        int32 (m,): the item rows that have effects, rising.
    effects
        float32 (m, m), dense or CSR, over `rows`; an absent entry says nothing.
    """

    rows: npt.NDArray[np.int32]
    effects: npt.NDArray[np.float32] | sparse.csr_array

    def scores(self, queries: Queries) -> npt.NDArray[np.float32]:
        """Return history x effects; NaN for items without effects and empty histories."""
        weighed = replace(queries, weights=self.spec.event_weights(queries))
        profile = weighed.matrix(len(self.items))[:, self.rows]
        out = np.full((len(queries), len(self.items)), np.nan, np.float32)
        spoken = profile @ self.effects
        if isinstance(spoken, sparse.csr_array):
            owner = np.repeat(np.arange(len(queries)), np.diff(spoken.indptr))
            out[owner, self.rows[spoken.indices]] = spoken.data
        else:
            asked = np.flatnonzero(np.diff(profile.indptr))
            out[np.ix_(asked, self.rows)] = spoken[asked]
        return out

    def opinion(self, queries: Queries, k: int) -> Opinion:
        """See `Model.opinion`; one query is answered from the effects of its own events alone."""
        own = type(self).scores is LinearModel.scores  # a subclass may add to them
        if len(queries) != 1 or not own or not isinstance(self.effects, sparse.csr_array):
            return super().opinion(queries, k)
        profile = self._place[queries.items], self.spec.event_weights(queries)
        keys, sums, touched = _spread(profile, self._cellular)
        table = keys, sums, touched
        best = _best(table, self.rows, k, may_come(queries), queries.exclude)

        def score(union: Candidates) -> npt.NDArray[np.float32]:
            found: npt.NDArray[np.float32] = _of(keys, sums, self._place[union.items])
            return found

        return Opinion(listed(*best), score)

    def _block(
        self, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Return float32 (rows, columns): effects, 0 where there is none."""
        if not isinstance(self.effects, sparse.csr_array):
            return np.asarray(self.effects[np.ix_(rows, columns)])
        return np.asarray(self.effects[rows][:, columns].toarray())

    @cached_property
    def _cellular(self) -> tuple[npt.NDArray[np.generic], ...]:
        """Sparse effects as they lie on the disk: (indptr, indices, data), of any integers."""
        assert isinstance(self.effects, sparse.csr_array)
        arrays = self.effects.indptr, self.effects.indices, self.effects.data
        return tuple(np.asarray(array) for array in arrays)

    @cached_property
    def _place(self) -> npt.NDArray[np.int32]:
        """int32 (n_items + 1,): where each item row, and at the end -1, stands in `rows`; or -1."""
        place = np.full(len(self.items) + 1, -1, np.int32)
        place[self.rows] = np.arange(len(self.rows))
        return place

    def places(self, items: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Return int64 (n,): where item rows stand in `rows`, -1 where they (or -1) do not."""
        return self._place[items].astype(np.int64)

    def units(self, query: Queries, items: npt.NDArray[np.int32]) -> Floats:
        """Return float32 (len(items), len(query.items)): the effects between them."""
        if isinstance(self.effects, sparse.csr_array) and self.effects.has_sorted_indices:
            cells: Floats = _cells(self._cellular, self._place, query.items, items)
            return cells
        past, asked = self.places(query.items), self.places(items)
        out = np.zeros((len(items), len(past)), np.float32)
        told, heard = np.flatnonzero(past >= 0), np.flatnonzero(asked >= 0)
        out[np.ix_(heard, told)] = self._block(past[told], asked[heard]).T
        return out


@numba.njit(cache=True, nogil=True)
def _spread(profile, effects):  # type: ignore[no-untyped-def]
    """Return a table (see `slot_of`) of what all places bring to what, and its slots in use.

    Lower places come first, as in a product of sparse matrices: sums are equal to the last bit.
    """
    (places, weights), (indptr, columns, values) = profile, effects
    pairs = 0
    for place in places:
        pairs += indptr[place + 1] - indptr[place] if place >= 0 else 0
    size = 16
    while 3 * size < 4 * pairs:
        size *= 2
    keys, sums = np.full(size, -1, np.int32), np.zeros(size, np.float32)
    touched, n = np.empty(pairs, np.int32), 0
    order = np.argsort(places, kind="mergesort")
    first = 0
    while first < len(order):
        place, weight, last = places[order[first]], np.float32(0), first
        while last < len(order) and places[order[last]] == place:
            weight += weights[order[last]]
            last += 1
        first = last
        if place < 0:
            continue
        for a in range(indptr[place], indptr[place + 1]):
            at = slot_of(keys, columns[a])
            if keys[at] == -1:
                keys[at] = columns[a]
                touched[n] = at
                n += 1
            sums[at] += weight * values[a]
    return keys, sums, touched[:n]


@numba.njit(cache=True, nogil=True)
def _best(table, rows, k, may, exclude):  # type: ignore[no-untyped-def]
    """Return items and scores of the k best of a table, best first, then by row.

    Only those that score enough to be among twice as many are looked up and sorted; more where they
    may not come. A heap of the best would take three times as long.
    """
    keys, sums, touched = table
    n, banned, looked = len(touched), np.sort(exclude), 2 * (k + len(exclude))
    scores = np.empty(n, np.float32)
    for a in range(n):
        scores[a] = sums[touched[a]] + np.float32(0)  # no -0: it would sort below 0
    bits, found, size = scores.view(np.uint32), np.empty(n, np.uint64), 0
    while k:
        low, scale, bar = _bar(scores, looked)
        size = 0
        for a in range(n):
            if scores[a] > -np.inf and _bin(scores[a], low, scale) >= bar:
                item = rows[keys[touched[a]]]
                if is_welcome(item, may, banned):
                    found[size] = (_falling(bits[a]) << np.uint64(32)) | np.uint64(item)
                    size += 1
        if size >= k or n <= looked:
            break
        looked *= 8
    best = np.sort(found[:size])[:k]
    items, values = np.empty(len(best), np.int32), np.empty(len(best), np.uint32)
    for a in range(len(best)):
        items[a] = np.int32(best[a] & np.uint64(0xFFFFFFFF))
        values[a] = np.uint32(_falling(best[a] >> np.uint64(32)))
    return items, values.view(np.float32)


@numba.njit(cache=True, nogil=True, inline="always")
def _falling(bits):  # type: ignore[no-untyped-def]
    """Return the bits of a float32 as a number that falls as it rises, or those bits back."""
    wide, sign, low = np.uint64(bits), np.uint64(0x80000000), np.uint64(0x7FFFFFFF)
    return wide if wide & sign else wide ^ low


@numba.njit(cache=True, nogil=True, inline="always")
def _bin(score, low, scale):  # type: ignore[no-untyped-def]
    return int((np.float64(score) - low) * scale) if scale > 0 else 0


@numba.njit(cache=True, nogil=True)
def _bar(scores, most):  # type: ignore[no-untyped-def]
    """Return (low, scale, bar): `most` scores, or few more, lie in the bins from `bar` on."""
    low, high = np.float32(np.inf), np.float32(-np.inf)
    for s in scores:
        if s > -np.inf:
            low, high = min(low, s), max(high, s)
    if most >= len(scores) or not high - low < np.inf or high == low:
        return np.float64(low), 0.0, 0
    counts, scale = np.zeros(BINS, np.int64), (BINS - 1) / (np.float64(high) - np.float64(low))
    for s in scores:
        if s > -np.inf:
            counts[_bin(s, np.float64(low), scale)] += 1
    bar, reached = BINS, 0
    while bar > 0 and reached < most:
        bar -= 1
        reached += counts[bar]
    return np.float64(low), scale, bar


@numba.njit(cache=True, nogil=True)
def _of(keys, sums, places):  # type: ignore[no-untyped-def]
    """Return what a table holds for some places, NaN where nothing."""
    out = np.full(len(places), np.nan, np.float32)
    for a in range(len(places)):
        if places[a] >= 0:
            at = slot_of(keys, places[a])
            if keys[at] >= 0:
                out[a] = sums[at]
    return out


@numba.njit(cache=True, nogil=True)
def _cells(effects, place, past, asked):  # type: ignore[no-untyped-def]
    """Return float32 (asked, past): the effects of item rows on others; columns rise in a row."""
    indptr, columns, values = effects
    out = np.zeros((len(asked), len(past)), np.float32)
    wanted = place[asked]
    for e in range(len(past)):
        row = place[past[e]]
        if row < 0:
            continue
        start, stop = indptr[row], indptr[row + 1]
        inside = columns[start:stop]
        for c in range(len(asked)):
            if wanted[c] >= 0:
                at = place_in(inside, wanted[c])
                if at >= 0:
                    out[c, e] = values[start + at]
    return out

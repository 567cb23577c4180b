"""VMIS-kNN: visits like this one, and what stood beside its items (Kersbergen et al. 2022)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numba
import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.models.base import Answers, Model, Rng
from endcap.models.candidates import Candidates
from endcap.models.parallel import over_blocks
from endcap.models.queries import Queries
from endcap.models.topk import push
from endcap.models.weighting import HistorySpec, idf, power
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent

BLOCK = 64
"""Queries that one kernel call answers."""
FAINT = 1e-4
"""Past events that count less, beside the loudest, are passed over: most of a long history."""


class VMISKNN(HistorySpec):
    """Seek the recent sessions that share most with the query, and read on where they met.

    Similarity of a session s: ``sim = trust_s x sum over shared items i of w_i``, with
    ``w_i = exp(-age / decay_events) x idf_i`` by the newest event of i in the query, and
    ``trust_s = |s| ** -length_norm x exp(-newer sessions / (recency x sessions))``. Only the
    `sample` most recent sessions of an item are looked at (Serenade, SIGMOD 2022, algorithm 2). The
    `neighbours` most similar speak for an item j at place b of theirs, once for each shared item
    i at a place a (STAN, Garg et al. 2019, equation 9, which has one such i)::

        score_j = d_j ** popularity x sum of sim ** (sharpness - 1) trust_s w_i g(b - a)
        g(gap)  = exp(-(gap - 1) / gap_decay), times `before` where b stands before a

    with d_j the sessions of j. Fitting sorts; a query costs O(history x sample) and scratch of
    O(sessions), the model O(events) memory.

    Stability: caller.
    """

    neighbours: int = pydantic.Field(default=1_000, ge=1)
    """Sessions that are asked."""
    sample: int = pydantic.Field(default=2_500, ge=1)
    """Most recent sessions of each item that are looked at."""
    unit: Literal["history", "session"] = "history"
    """What a session is: all that a user did, or each of their visits."""
    decay_events: float = pydantic.Field(default=1.5, ge=0)
    recency: float = pydantic.Field(default=0.0, ge=0)
    """A session counts 1/e once this share of all sessions is newer; 0 never fades."""
    gap_decay: float = pydantic.Field(default=2.0, gt=0)
    """What came next counts 1/e after this many more events."""
    before: float = pydantic.Field(default=0.5, ge=0, le=1)
    """What came before a shared item counts this much: 0 looks ahead only, 1 is order-free."""
    weighting: Literal["none", "idf"] = "idf"
    """``idf`` lets rare items say more."""
    length_norm: float = pydantic.Field(default=0.5, ge=0, le=1)
    """Divide a similarity by (items of the session) ** this: long sessions share by chance."""
    sharpness: float = pydantic.Field(default=1.0, ge=0)
    """Above 1 sessions that share much speak louder still."""
    popularity: float = pydantic.Field(default=0.0, ge=-1, le=1)
    """Multiply scores by (sessions of the item) ** this: below 0 holds bestsellers back."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "VMISKNNModel":
        """Index the sessions by item; `rng` is not used."""
        data = self.heard(data)
        indptr, items = _sessions(data, self.unit)
        n, width = len(indptr) - 1, len(data.items)
        ones = np.ones(len(items), np.float32)
        held = sparse.csr_array((ones, items.copy(), indptr.copy()), shape=(n, width))
        held.sum_duplicates()
        rarity = idf(held) if self.weighting == "idf" else np.ones(width)
        trust = power(np.diff(held.indptr), -self.length_norm)
        if self.recency:
            trust *= np.exp(-np.arange(n) / (self.recency * n))
        by_item = held.T.tocsr()
        counts = np.diff(by_item.indptr)
        place = np.arange(by_item.nnz) - np.repeat(by_item.indptr[:-1], counts)
        ends = np.concatenate(([0], np.cumsum(np.minimum(counts, self.sample))))
        progress(1, 1, "sessions")
        return VMISKNNModel(
            self,
            data.users,
            data.items,
            indptr,
            items,
            ends.astype(np.int64),
            by_item.indices[place < self.sample].astype(np.int32),
            rarity.astype(np.float32),
            trust.astype(np.float32),
            power(counts, self.popularity).astype(np.float32),
        )


@dataclass(frozen=True)
class VMISKNNModel(Model):
    """The sessions, the latest first, and for each item those that have it.

    Attributes
    ----------
    indptr, sessions
        int64 (n + 1,) and int32: session s holds the items ``sessions[indptr[s]:indptr[s + 1]]``,
        oldest first.
    posting_indptr, postings
        int64 (n_items + 1,) and int32: the sessions of each item, the latest first.
    rarity, trust, factor
        float32 (n_items,), (n,), (n_items,): what an item says, how loud a session may be, and
        what an item's score is multiplied by.
    """

    answers: ClassVar[Answers] = Answers(explains=True)

    spec: VMISKNN
    indptr: npt.NDArray[np.int64]
    sessions: npt.NDArray[np.int32]
    posting_indptr: npt.NDArray[np.int64]
    postings: npt.NDArray[np.int32]
    rarity: npt.NDArray[np.float32]
    trust: npt.NDArray[np.float32]
    factor: npt.NDArray[np.float32]

    def scores(self, queries: Queries) -> npt.NDArray[np.float32]:
        """Return what the nearest sessions say; NaN for items that none of them speaks for."""
        out = np.full((len(queries), len(self.items)), np.nan, np.float32)
        weights, index, rules = self._weights(queries), self._index, self._rules

        def block(start: int, stop: int) -> None:
            asked = queries.indptr[start : stop + 1], queries.items, weights
            _answer(asked, index, rules, out[start:stop])

        over_blocks(len(queries), BLOCK, block)
        out *= self.factor
        return out

    def contributions(
        self, query: Queries, items: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Return float32 (len(items), len(query.items)): each event's share, neighbours fixed."""
        weights, index, rules = self._weights(query), self._index, self._rules
        near = _nearest(query.items, weights, index, rules, _scratch(len(self.trust)))
        out = np.zeros((len(items), len(weights)), np.float32)
        told = np.zeros(len(self.items), np.float32)
        for event in np.flatnonzero(weights):
            said = np.zeros(len(self.items), np.float32)
            told[query.items[event]] = weights[event]
            _speak(near, told, index, rules, said)
            told[query.items[event]] = 0
            out[:, event] = (said * self.factor)[items]
        return out

    def left_out(
        self, query: Queries, items: npt.NDArray[np.int32], groups: npt.NDArray[np.int64], n: int
    ) -> npt.NDArray[np.float32]:
        """See `Model.left_out`; events so old that they are faint are not asked without."""
        loud = np.flatnonzero(self._weights(query))
        recent = groups[loud[0] :] if len(loud) else groups[:0]
        asked = np.unique(recent[recent >= 0])
        place = np.full(n + 1, -1, np.int64)  # the last is that of group -1
        place[asked] = np.arange(len(asked))
        whole = self.score(query, Candidates.of([items]))
        out = np.tile(whole, (n, 1))
        out[asked] = super().left_out(query, items, place[groups], len(asked))
        return out

    @property
    def _index(self) -> tuple[npt.NDArray[Any], ...]:
        return self.indptr, self.sessions, self.posting_indptr, self.postings, self.trust

    @property
    def _rules(self) -> tuple[int, float, float, float]:
        spec = self.spec
        return spec.neighbours, spec.sharpness - 1, spec.gap_decay, spec.before

    def _weights(self, queries: Queries) -> npt.NDArray[np.float32]:
        if not len(self.rarity):
            return np.zeros(len(queries.items), np.float32)
        weights = self.spec.event_weights(queries) * self.rarity[np.maximum(queries.items, 0)]
        loudest = np.zeros(len(queries), np.float32)
        np.maximum.at(loudest, queries.query_of, weights)
        return np.where(weights > FAINT * loudest[queries.query_of], weights, np.float32(0))


def _sessions(
    data: Dataset, unit: Literal["history", "session"]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return (indptr, items) of all sessions, the one that ended last first."""
    seq = data.sequences()
    starts = np.zeros(len(seq.items) + 1, dtype=bool)
    starts[seq.indptr] = True
    if unit == "session":
        starts[1:-1] |= np.diff(seq.sessions) != 0
    bounds = np.flatnonzero(starts)
    order = np.argsort(-seq.times[bounds[1:] - 1], kind="stable")
    lengths = np.diff(bounds)[order]
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    take = np.repeat(bounds[:-1][order] - indptr[:-1], lengths) + np.arange(indptr[-1])
    return indptr, seq.items[take]


@numba.njit(cache=True, nogil=True)
def _scratch(n):  # type: ignore[no-untyped-def]
    """Return room for the sums, the marks and the list of the sessions touched, all blank."""
    return np.zeros(n, np.float32), np.zeros(n, np.bool_), np.empty(n, np.int32)


@numba.njit(cache=True, nogil=True)
def _answer(queries, index, rules, out):  # type: ignore[no-untyped-def]
    """Fill one row of scores for each query."""
    ends, items, weights = queries
    scratch = _scratch(len(index[4]))
    told = np.zeros(out.shape[1], np.float32)
    for q in range(len(ends) - 1):
        past, loud = items[ends[q] : ends[q + 1]], weights[ends[q] : ends[q + 1]]
        near = _nearest(past, loud, index, rules, scratch)
        for e in range(len(past)):
            if loud[e] > 0:
                told[past[e]] += loud[e]
        _speak(near, told, index, rules, out[q])
        for e in range(len(past)):
            if loud[e] > 0:
                told[past[e]] = 0


@numba.njit(cache=True, nogil=True)
def _nearest(items, weights, index, rules, scratch):  # type: ignore[no-untyped-def]
    """Return the most similar sessions and their voices; leaves the scratch blank."""
    _, _, posting_indptr, postings, trust = index
    sums, seen, touched = scratch
    count = 0
    for e in range(len(items)):
        if not weights[e] > 0:
            continue
        for at in range(posting_indptr[items[e]], posting_indptr[items[e] + 1]):
            s = postings[at]
            if not seen[s]:
                seen[s] = True
                touched[count] = s
                count += 1
            sums[s] += weights[e]
    most = min(rules[0], count)
    near, similar = np.empty(most, np.int32), np.empty(most, np.float32)
    size = 0
    for c in range(count):
        s = touched[c]
        size = push(similar, near, size, sums[s] * trust[s], s)
        sums[s], seen[s] = 0, False
    for c in range(size):
        similar[c] = similar[c] ** rules[1] * trust[near[c]]
    return near, similar


@numba.njit(cache=True, nogil=True)
def _speak(near, told, index, rules, out):  # type: ignore[no-untyped-def]
    """Add to `out` what stands beside each item that is `told`; NaN turns into a number."""
    (ids, voices), indptr, sessions = near, index[0], index[1]
    _, _, gap_decay, before = rules
    longest = 0
    for s in ids:
        longest = max(longest, indptr[s + 1] - indptr[s])
    fade = np.exp(-np.arange(longest) / gap_decay)
    for n in range(len(ids)):
        start, end = indptr[ids[n]], indptr[ids[n] + 1]
        for a in range(start, end):
            if not told[sessions[a]] > 0:
                continue
            loud = voices[n] * told[sessions[a]]
            for b in range(start if before > 0 else a + 1, end):
                if b == a:
                    continue
                share = loud * fade[abs(b - a) - 1]
                if b < a:
                    share *= before
                j = sessions[b]
                out[j] = share if np.isnan(out[j]) else out[j] + share

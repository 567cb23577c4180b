"""What several models propose for many questions, laid side by side so that blends are quick."""

from collections.abc import Mapping
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from endcap.evaluate.exam import Exam
from endcap.evaluate.metrics import PerUser
from endcap.models.base import BLOCK_BYTES, Model
from endcap.models.candidates import Candidates, merge
from endcap.models.queries import Queries

DEPTH = 200
"""Items that each model proposes, as in a `Level`."""

Shares = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pool:
    """The union of what models propose, and each model's share of its best score.

    Attributes
    ----------
    names
        The m models.
    indptr, items
        int64 (n + 1,) and int32 (nnz,): what was proposed for each of n queries by any model.
    shares
        float32 (m, nnz): each model's score over its best for the query, 0 where it cannot say,
        as `recommend.blend` has it.
    """

    names: tuple[str, ...]
    indptr: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    shares: Shares

    def row(self, name: str) -> Shares:
        """float32 (nnz,): the shares of one model."""
        chosen: Shares = self.shares[self.names.index(name)]
        return chosen

    def total(self, weights: Mapping[str, float]) -> Shares:
        """float32 (nnz,): the weighted sum of the shares."""
        out = np.zeros(len(self.items), np.float32)
        for name, weight in weights.items():
            out += np.float32(weight) * self.row(name)
        return out

    def cut(self, weights: Mapping[str, float], k: int) -> tuple[Candidates, Shares]:
        """Return the k best of a blend, and float32 (m, nnz): each model's shares of them."""
        total = self.total(weights)
        query = np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))
        order = np.lexsort((self.items, -total, query))
        place = np.arange(len(order)) - self.indptr[:-1][query[order]]
        at = order[(place < k) & (total[order] > 0)]
        counts = np.bincount(query[at], minlength=len(self.indptr) - 1)
        ends = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        source = np.zeros(len(at), np.uint8)
        return Candidates(ends, self.items[at], total[at], source), self.shares[:, at]

    def top(self, weights: Mapping[str, float], k: int) -> Candidates:
        """Return the k best of a blend; what nothing speaks for is left out."""
        total = self.total(weights)
        source = np.zeros(len(total), np.uint8)
        return Candidates(self.indptr, self.items, total, source).keep(total > 0).sorted().top(k)


def pool(models: Mapping[str, Model], queries: Queries, depth: int = DEPTH) -> Pool:
    """Ask every model about every query; memory O(queries x models x depth x models)."""
    parts = [_pool(models, piece, depth) for piece in blocks(models, queries)]
    ends = np.cumsum([0] + [len(part.items) for part in parts])
    return Pool(
        tuple(models),
        np.concatenate(
            [[0], *(part.indptr[1:] + end for part, end in zip(parts, ends, strict=False))]
        ).astype(np.int64),
        np.concatenate([np.empty(0, np.int32), *(part.items for part in parts)]),
        np.concatenate(
            [np.empty((len(models), 0), np.float32), *(part.shares for part in parts)], axis=1
        ),
    )


def blend_lists(
    models: Mapping[str, Model],
    weights: Mapping[str, float],
    queries: Queries,
    k: int,
    depth: int = DEPTH,
) -> Candidates:
    """Return the k best of a blend for many queries: `recommend.blend` in blocks."""
    asked = {name: models[name] for name in weights}
    rows = []
    for piece in blocks(asked, queries):
        best = _pool(asked, piece, max(depth, k)).top(weights, k)
        rows += [best.row(q) for q in range(len(best))]
    return Candidates.of([items for items, _ in rows], [scores for _, scores in rows])


def blocks(models: Mapping[str, Model], queries: Queries) -> list[Queries]:
    """Cut queries so that the dense scores of all models together stay within `BLOCK_BYTES`."""
    items = max((len(model.items) for model in models.values()), default=1)
    size = max(1, 4 * BLOCK_BYTES // (4 * max(1, items) * max(1, len(models))))
    return [queries[start : start + size] for start in range(0, len(queries), size)]


class Gains:
    """NDCG@k of a pool under many different sums, as `evaluate.metrics` has it; ties by row.

    Only the places of the targets are looked for, so that a search for weights can ask often.

    Parameters
    ----------
    pool, exam
        The answers and the questions, in the same order.

    Attributes
    ----------
    hit
        bool (nnz,): which entries of the pool are targets.
    """

    def __init__(self, pool: Pool, exam: Exam, k: int) -> None:
        width = exam.split.train.shape[1]
        query = np.repeat(np.arange(len(pool.indptr) - 1), np.diff(pool.indptr))
        wanted = exam.targets.owner * width + exam.targets.items
        self._pool, self._k = pool, k
        self.hit = np.isin(query * width + pool.items, wanted)
        discount = 1 / np.log2(np.arange(2, k + 2))
        best = np.concatenate(([1.0], np.cumsum(discount)))
        self._ideal = best[np.minimum(exam.targets.counts, k)]

    def __call__(self, total: Shares) -> PerUser:
        """Return float64 (n,)."""
        at = self._pool
        return np.asarray(_gains(at.indptr, at.items, total, self.hit, self._k) / self._ideal)


@numba.njit(cache=True, nogil=True)
def _gains(indptr, items, total, hit, k):  # type: ignore[no-untyped-def]
    """Sum the discounts of the targets among the k best positive totals of each row."""
    n = len(indptr) - 1
    out = np.zeros(n)
    for q in range(n):
        for a in range(indptr[q], indptr[q + 1]):
            if not hit[a] or not total[a] > 0:
                continue
            place = 0
            for b in range(indptr[q], indptr[q + 1]):
                if total[b] > total[a] or (total[b] == total[a] and items[b] < items[a]):
                    place += 1
                    if place >= k:
                        break
            if place < k:
                out[q] += 1 / np.log2(place + 2)
    return out


def _pool(models: Mapping[str, Model], queries: Queries, depth: int) -> Pool:
    opinions = [model.opinion(queries, depth) for model in models.values()]
    union = merge([one.proposed for one in opinions])
    shares = np.empty((len(opinions), len(union.items)), np.float32)
    for row, one in zip(shares, opinions, strict=True):
        row[:] = _over_best(np.nan_to_num(one.score(union)), union)
    return Pool(tuple(models), union.indptr, union.items, shares)


def _over_best(scores: Shares, union: Candidates) -> Shares:
    best = np.zeros(len(union), np.float32)
    np.maximum.at(best, union.query_of, scores)
    best = best[union.query_of]
    return np.divide(scores, best, out=np.zeros_like(scores), where=best > 0)

"""Accuracy of ranked lists: one number for each user, over the full ranking.

Relevance is binary. An item counts once, at its first place; places that a short list leaves
empty are misses. Lists are judged in the order given: models break ties by row number, so that
equal scores never turn into chance. With R relevant items and h_i = 1 for a hit at place i:

=============  ================================================================
precision@k    sum(h_1..h_k) / k
recall@k       sum(h_1..h_k) / R
hit@k          1 if any of h_1..h_k
mrr@k          1 / place of the first hit, 0 without one
map@k          sum over i <= k of h_i * precision@i, divided by R (as trec_eval's map_cut)
ndcg@k         sum of h_i / log2(i + 1), divided by the same sum of a perfect list
=============  ================================================================

A user without relevant items gets 0 everywhere; `evaluate` asks about no such user.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from endcap.models.candidates import Candidates
from endcap.prepare.split import Targets

Hits = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
PerUser = npt.NDArray[np.float64]


def hits(lists: Candidates, targets: Targets, k: int) -> Hits:
    """Return bool (n, k): whether the item at each place of each list is a target.

    Parameters
    ----------
    lists
        n ranked lists, best first; shorter ones are filled up with misses.
    targets
        The targets of the same n users.
    """
    n = len(lists)
    out = np.zeros((n, k), dtype=bool)
    if not len(lists.items) or not len(targets.items):
        return out
    width = int(max(lists.items.max(), targets.items.max())) + 1
    query = lists.query_of
    keys = query * width + lists.items
    wanted = targets.owner * width + targets.items  # sorted: owners ascend, items ascend in each
    found = np.searchsorted(wanted, keys)
    relevant = wanted[np.minimum(found, len(wanted) - 1)] == keys
    first = np.zeros(len(keys), dtype=bool)
    first[np.unique(keys, return_index=True)[1]] = True
    place = np.arange(len(keys)) - lists.indptr[query]
    good = relevant & first & (place < k)
    out[query[good], place[good]] = True
    return out


def precision(hit: Hits, relevant: Counts, k: int) -> PerUser:
    """Share of the first k places that are hits, float64 (n,)."""
    return np.asarray(hit[:, :k].sum(axis=1) / k)


def recall(hit: Hits, relevant: Counts, k: int) -> PerUser:
    """Share of the relevant items found in the first k places, float64 (n,)."""
    return np.asarray(hit[:, :k].sum(axis=1) / np.maximum(relevant, 1))


def hit_rate(hit: Hits, relevant: Counts, k: int) -> PerUser:
    """1 where anything in the first k places is a hit, float64 (n,)."""
    return np.asarray(hit[:, :k].any(axis=1), np.float64)


def reciprocal_rank(hit: Hits, relevant: Counts, k: int) -> PerUser:
    """One over the place of the first hit within k, float64 (n,)."""
    first = hit[:, :k].argmax(axis=1)
    return np.where(hit[:, :k].any(axis=1), 1.0 / (first + 1), 0.0)


def average_precision(hit: Hits, relevant: Counts, k: int) -> PerUser:
    """Precision at each hit within k, summed and divided by the relevant items, float64 (n,)."""
    top = hit[:, :k]
    at = np.cumsum(top, axis=1) / np.arange(1, top.shape[1] + 1)
    return np.asarray((at * top).sum(axis=1) / np.maximum(relevant, 1))


def ndcg(hit: Hits, relevant: Counts, k: int) -> PerUser:
    """Discounted gain over that of a perfect list, float64 (n,). Järvelin & Kekäläinen 2002."""
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate(([1.0], np.cumsum(discount)))[np.minimum(relevant, k)]
    return hit[:, :k] @ discount[: hit.shape[1]] / ideal


METRICS: Final[dict[str, Callable[[Hits, Counts, int], PerUser]]] = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "hit": hit_rate,
}
"""Every accuracy metric by its short name."""


def per_user(lists: Candidates, targets: Targets, ks: Sequence[int]) -> dict[str, PerUser]:
    """Return every metric at every k, such as ``"ndcg@10"``: float64 (n,) each."""
    hit = hits(lists, targets, max(ks))
    relevant = targets.counts
    return {f"{name}@{k}": rule(hit, relevant, k) for k in ks for name, rule in METRICS.items()}

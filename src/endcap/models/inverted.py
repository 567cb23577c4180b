"""The best k by inner product for one query: from all items, from those allowed, or from an index.

The index is an inverted file (Jégou et al. 2011): items lie in lists around centroids, and a query
looks into the lists whose centroids point its way. It only proposes; scores are exact products.
`models.indexing` makes one and finds out what it misses.
"""

import math
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from endcap.models.candidates import Candidates
from endcap.models.inner import Product, lengths
from endcap.models.listed import listed, may_come, place_in
from endcap.models.queries import Queries
from endcap.models.topk import fall, push, rising

Array = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]
FEW = 0.25
"""Where no more than this share of the items may come, they are gone through by name."""


@dataclass(frozen=True)
class Inverted:
    """Items in lists, the longest vectors of each first. Arrays may be memory-mapped.

    Attributes
    ----------
    centroids
        float32 (lists, d).
    starts
        int64 (lists + 1,): list l owns the entries ``starts[l]:starts[l + 1]``.
    rows
        int32 (m,): which items.
    vectors
        float32 (m, d): theirs, a copy that lies as it is read.
    bounds
        float32 (m,): their lengths, with room for rounding.
    probes
        Lists that are looked into when everything is allowed.
    """

    centroids: Array
    starts: npt.NDArray[np.int64]
    rows: Rows
    vectors: Array
    bounds: Array
    probes: int

    def lists_for(self, share: float) -> int:
        """Return how many lists to look into where only a share of the items may come."""
        return min(len(self.centroids), math.ceil(self.probes / share))

    @property
    def seen(self) -> float:
        """The share of the items that a query looks at, on average."""
        return self.probes / max(1, len(self.centroids))

    @classmethod
    def of(cls, product: Product, centroids: Array, nearest: Rows, probes: int = 1) -> "Inverted":
        """Put the known items into the lists of their nearest centroids, int32 (known,)."""
        known = np.flatnonzero(product.known).astype(np.int32)
        size = lengths(product.y[known])
        order = np.lexsort((known, -size, nearest))
        ends = np.cumsum(np.bincount(nearest, minlength=len(centroids)))
        rows = known[order]
        error = np.float32(1 + (product.y.shape[1] + 8) * np.finfo(np.float32).eps)
        starts = np.concatenate((np.zeros(1, np.int64), ends))
        return cls(centroids, starts, rows, product.y[rows], size[order] * error, probes)

    def top(self, x: Array, query: Queries, k: int, lists: int) -> tuple[Rows, Array]:
        """Return the best of so many lists for x, float32 (d,): items and scores, best first."""
        towards = self.centroids @ x
        order = np.argsort(-towards, kind="stable")[:lists]
        heap = np.empty(k, np.float32), np.empty(k, np.int32)
        arrays = self.starts, self.rows, self.vectors, self.bounds
        rules = may_come(query), np.sort(query.exclude)
        size = _probe(x, order, arrays, rules, heap)
        return heap[1][:size], heap[0][:size]


def best_of(product: Product, query: Queries, k: int, index: Inverted | None = None) -> Candidates:
    """Return the k best allowed and not excluded items of one query, ties by row number.

    Where few enough may come, exactly these are looked at; else the lists of `index`, the more the
    fewer may come; without one, everything. Time O(d) for each item that is looked at.

    Parameters
    ----------
    product
        Of exactly one query.
    """
    x, among = product.x[0], query.allowed
    most = min(k, len(product.known) if among is None else len(among))
    if not most or np.isnan(x).any():
        return listed(np.empty(0, np.int32), np.empty(0, np.float32))
    x = np.ascontiguousarray(x, np.float32)
    if index is None or (among is not None and len(among) <= index.seen * len(index.rows)):
        return listed(*_exactly(x, product, query, most))
    share = 1.0 if among is None else len(among) / len(product.known)
    return listed(*index.top(x, query, most, index.lists_for(share)))


def scores_of(product: Product, items: Rows) -> Array:
    """Return float32 (n,): the exact scores of some items for one query, NaN where unknown."""
    x = np.ascontiguousarray(product.x[0], np.float32)
    scores: Array = _scores(x, product.y, product.known, items)
    return scores


def _exactly(x: Array, product: Product, query: Queries, k: int) -> tuple[Rows, Array]:
    heap = np.empty(k, np.float32), np.empty(k, np.int32)
    banned = np.sort(query.exclude)
    if query.allowed is None or len(query.allowed) > FEW * len(product.known):
        size = _all(x, product.y, (product.known, may_come(query)), banned, heap)
    else:
        size = _some(x, product.y, (product.known, rising(query.allowed)), banned, heap)
    return heap[1][:size], heap[0][:size]


@numba.njit(nogil=True, inline="always")
def _dot(x, y):  # type: ignore[no-untyped-def]
    s = np.float32(0)
    for f in range(len(x)):
        s += x[f] * y[f]
    return s


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _scores(x, y, known, items):  # type: ignore[no-untyped-def]
    out = np.full(len(items), np.nan, np.float32)
    for a in range(len(items)):
        if known[items[a]]:
            out[a] = _dot(x, y[items[a]])
    return out


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _all(x, y, among, banned, heap):  # type: ignore[no-untyped-def]
    """Look at everything; return how many were found."""
    (known, may), (values, items) = among, heap
    size, least = 0, np.float32(-np.inf)
    for j in range(min(len(may), len(known)) if len(may) else len(known)):
        if not known[j] or (len(may) > 0 and not may[j]):
            continue
        s = _dot(x, y[j])
        if s > least and place_in(banned, j) < 0:  # an equal one comes later
            size = push(values, items, size, s, j)
            least = values[0] if size == len(values) else least
    fall(values, items, size)
    return size


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _some(x, y, among, banned, heap):  # type: ignore[no-untyped-def]
    """Look at some rows, which rise."""
    (known, rows), (values, items) = among, heap
    size, least = 0, np.float32(-np.inf)
    for j in rows:
        if j >= len(known) or not known[j]:
            continue
        s = _dot(x, y[j])
        if s > least and place_in(banned, j) < 0:
            size = push(values, items, size, s, j)
            least = values[0] if size == len(values) else least
    fall(values, items, size)
    return size


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _probe(x, lists, index, rules, heap):  # type: ignore[no-untyped-def]
    """Look into some lists; leave each when nothing that follows can be long enough."""
    (starts, rows, vectors, bounds), (may, banned), (values, items) = index, rules, heap
    size, least = 0, np.float32(-np.inf)
    length = np.sqrt(_dot(x, x)) * np.float32(1 + 1e-5)
    for at in range(len(lists)):
        for a in range(starts[lists[at]], starts[lists[at] + 1]):
            if length * bounds[a] < least:
                break
            j = rows[a]
            if len(may) > 0 and (j >= len(may) or not may[j]):
                continue
            s = _dot(x, vectors[a])
            if s >= least and place_in(banned, j) < 0:
                size = push(values, items, size, s, j)
                least = values[0] if size == len(values) else least
    fall(values, items, size)
    return size

"""Whether an index pays for a model: made by k-means, measured against exact answers.

What is kept misses at most `1 - RECALL` of the exact answers, with everything allowed and with half
or a tenth of it; else all items are looked at, as before.
"""

from dataclasses import dataclass, replace
from importlib.util import find_spec
from time import process_time
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.models.base import Model
from endcap.models.candidates import Candidates
from endcap.models.inner import ByLength, Product
from endcap.models.inverted import Inverted, best_of
from endcap.models.queries import Queries
from endcap.schema.progress import Progress, silent

RECALL: Final = 0.98
DEPTH: Final = 200
"""Answers of a query that are compared: as many as a level of a placement asks a model for."""
SHARES: Final = (1.0, 0.5, 0.1)
"""Of the items, that may come. Where fewer may, exactly these are looked at."""
MOST: Final = 0.25
"""An index that has to look at more of the items than this does not pay."""
LISTS: Final = 4
"""So many times the root of the items."""
ROUNDS, SAMPLE = 10, 64
"""Of k-means, and vectors for each centroid that it learns from."""
TIMED: Final = 40
Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tried:
    """An index, or None where exact answers stay; and what was measured."""

    index: Inverted | None
    facts: dict[str, Any]


def index_for(
    model: Model, queries: Queries, *, at_least: int, seed: int = 0, progress: Progress = silent
) -> Tried | None:
    """Make an index and find out what it misses; None where the model has no use for one.

    Parameters
    ----------
    queries
        Some hundred shoppers to measure on; k-means sees items alone.
    at_least
        Items that a model must know for an index to be tried.
    """
    product = model.product(queries)
    if product is None or int(product.known.sum()) < at_least:
        return None
    if find_spec("faiss") is None:
        return Tried(None, {"choice": "exact", "why": "pip install 'endcap[ann]' to try an index"})
    told = ~np.isnan(product.x).any(axis=1)
    asked = [queries[q : q + 1] for q in np.flatnonzero(told)]
    if not asked:
        return Tried(None, {"choice": "exact", "why": "no shopper to measure on"})
    return _measured(product, product.x[told], asked, seed, progress)


def _measured(
    product: Product, x: Array, asked: list[Queries], seed: int, progress: Progress
) -> Tried:
    y = np.ascontiguousarray(product.y[product.known], np.float32)
    index = Inverted.of(product, *means(y, round(LISTS * len(y) ** 0.5), seed))
    del y
    rng = np.random.default_rng(seed)
    exams = [_Exam.of(product, x, asked, share, rng) for share in SHARES]
    lists = len(index.centroids)
    probes, most = max(1, lists // 64), int(MOST * lists)
    while True:
        index = replace(index, probes=probes)
        recalls = _recalls(exams, index)
        if min(recalls) >= RECALL or probes >= most:
            break
        probes = min(max(probes + 1, probes * 4 // 3), most)
        progress(probes, most, "probes")
    facts = {
        "items": len(index.rows),
        "lists": lists,
        "probes": index.probes,
        "recall": {f"{e.share:g}": round(r, 4) for e, r in zip(exams, recalls, strict=False)},
        "depth": DEPTH,
        "shoppers": len(asked),
        "ms": exams[0].milliseconds(index),
        "exact_ms": exams[0].milliseconds(None),
    }
    if min(recalls) < RECALL:
        return Tried(None, {"choice": "exact", "why": f"recall below {RECALL:g}", **facts})
    return Tried(index, {"choice": "index", **facts})


class _Exam(NamedTuple):
    """Queries with their exact answers, where a share of the items may come."""

    product: Product
    x: Array
    asked: list[Queries]
    truth: Candidates
    share: float

    @classmethod
    def of(
        cls,
        product: Product,
        x: Array,
        asked: list[Queries],
        share: float,
        rng: np.random.Generator,
    ) -> "_Exam":
        allowed = None
        if share < 1:
            allowed = np.flatnonzero(rng.random(len(product.known)) < share).astype(np.int32)
            allowed.flags.writeable = False  # its mask is made once
        asked = [replace(query, allowed=allowed) for query in asked]
        order = ByLength.of(product, allowed)
        parts = [order.top(x[q : q + 1], query, DEPTH) for q, query in enumerate(asked)]
        return cls(product, x, asked, Candidates.of([part.items for part in parts]), share)

    def answer(self, q: int, index: Inverted | None) -> npt.NDArray[np.int32]:
        """Return the items that one query is answered with."""
        one = self.product._replace(x=self.x[q : q + 1])
        return best_of(one, self.asked[q], DEPTH, index).items

    def recall(self, index: Inverted) -> float:
        """Return the share of the exact answers that the index finds."""
        found = sum(
            len(np.intersect1d(self.answer(q, index), self.truth.row(q)[0]))
            for q in range(len(self.asked))
        )
        return found / max(1, len(self.truth.items))

    def milliseconds(self, index: Inverted | None) -> float:
        """Return the processor time of an answer."""
        self.answer(0, index)
        began = process_time()
        many = min(TIMED, len(self.asked))
        for q in range(many):
            self.answer(q, index)
        return round((process_time() - began) / many * 1e3, 3)


def _recalls(exams: list[_Exam], index: Inverted) -> list[float]:
    """Return what each exam finds, up to the first that finds too little."""
    recalls = []
    for exam in exams:
        recalls.append(exam.recall(index))
        if recalls[-1] < RECALL:
            break
    return recalls


def means(y: Array, lists: int, seed: int) -> tuple[Array, npt.NDArray[np.int32]]:
    """Return centroids, float32 (lists, d), and the nearest of each row, int32 (n,), by faiss."""
    import faiss

    trained = faiss.Kmeans(
        y.shape[1], lists, niter=ROUNDS, seed=seed + 1, max_points_per_centroid=SAMPLE
    )
    trained.train(y)
    nearest = trained.index.search(y, 1)[1]
    return np.asarray(trained.centroids, np.float32), nearest.ravel().astype(np.int32)

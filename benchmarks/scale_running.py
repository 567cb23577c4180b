"""One of our tasks of `scale` in a process of its own: TASK SYSTEM FOLDER THREADS SEED."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.peers.scale_running import EPOCHS, FACTORS, NEIGHBOURS, K, load, ndcg, told

if TYPE_CHECKING:  # a task imports what it needs, as those of the peers do
    from endcap.models.queries import Queries
    from endcap.prepare.dataset import Dataset

# Numba would import what is here for our tests alone; where the peers run there is none.
sys.modules["coverage"] = None  # type: ignore[assignment]
TOGETHER = 2048
"""People who are answered by one call."""
KNOWN = 900.0
"""Weight of all that a person did not take: `unobserved` times the items (chosen at 1/16)."""


def data_of(matrix: sparse.csr_array) -> "Dataset":
    """Return a data set of those ones."""
    import pyarrow as pa

    from endcap.prepare.dataset import Dataset

    users, items = (pa.array(np.arange(n).astype(str)) for n in matrix.shape)
    owner = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return Dataset.of(users.take(pa.array(owner)), items.take(pa.array(matrix.indices)))


def ials(split: dict[str, Any], folder: Path, seed: int) -> dict[str, Any]:
    """Alternate as `IALS.fit` does, and mark after every epoch while the clock stands."""
    from endcap.models.ials import IALS

    train, past = split["train"], split["past"]
    spec = IALS(factors=FACTORS, epochs=EPOCHS, unobserved=KNOWN / train.shape[1])
    _, y = next(spec.alternate(past[:9], seed))  # compile
    spec.solve(past[:9], y)
    spent, marks, at = 0.0, [], []
    began = time.perf_counter()
    alternating = spec.alternate(train, seed)
    for _ in range(EPOCHS):
        y = next(alternating)[1]
        spent += time.perf_counter() - began
        at.append(spent)
        marks.append(ndcg(spec.solve(past, y), y, split))
        began = time.perf_counter()
    del alternating  # what it holds is not needed to fold everybody in
    np.savez(folder / "factors.npz", x=spec.solve(train, y), y=y)
    return {"wall_s": spent, "at_s": at, "ndcg@20": marks}


def item_knn(split: dict[str, Any], folder: Path, seed: int) -> dict[str, Any]:
    """Weigh and find neighbours, from the matrix on, as `ItemKNN.fit` does."""
    from endcap.models.item_knn import ItemKNN

    spec = ItemKNN(neighbours=NEIGHBOURS, weighting="bm25", similarity="dot")
    spec.similarities(split["train"][:9])  # compile
    return timed(lambda: spec.similarities(split["train"]))


def top_20(split: dict[str, Any], folder: Path, seed: int) -> dict[str, Any]:
    """Answer everybody from their histories: fold in, score, leave out what they have."""
    from endcap.models.base import MANY
    from endcap.models.conjugate import turned
    from endcap.models.ials import IALS, IALSModel, gram
    from endcap.prepare.vocabulary import Vocabulary

    train = split["train"]
    with np.load(folder / "factors.npz") as stored:
        y = stored["y"]
    squares, turn = turned(gram(y))
    y = y @ turn
    nobody, items = Vocabulary([]), Vocabulary(map(str, range(len(y))))  # all are strangers
    spec = IALS(factors=FACTORS, unobserved=KNOWN / train.shape[1])
    model = IALSModel(spec, nobody, items, y, np.ones(len(y), bool), np.diag(squares))
    model.retrieve(some(train[:MANY]), K)  # compile
    people = train.shape[0]
    cut = [(n, min(n + TOGETHER, people)) for n in range(0, people, TOGETHER)]
    return timed(lambda: [model.retrieve(some(train[a:b]), K) for a, b in cut])


def some(histories: sparse.csr_array) -> "Queries":
    """Return a question by each row, which wants none of what it holds."""
    from endcap.models.queries import Queries

    n, h = histories.shape[0], histories.nnz
    indptr, items = histories.indptr.astype(np.int64), histories.indices
    nobody, never = np.full(n, -1, np.int32), np.zeros(n, np.int64)
    events = np.ones(h, np.float32), np.full(h, np.nan, np.float32), np.zeros(h, np.int64)
    return Queries(nobody, indptr, items, *events, never, indptr, items)


def local_ridge(split: dict[str, Any], folder: Path, seed: int) -> dict[str, Any]:
    """Fit the sparse form of EASE."""
    from endcap.models.local_ridge import LocalRidge

    data = data_of(split["train"])
    return timed(lambda: LocalRidge().fit(data))


def timed(work: Callable[[], Any]) -> dict[str, Any]:
    """Return the wall seconds of `work`."""
    began = time.perf_counter()
    work()
    return {"wall_s": time.perf_counter() - began}


TASKS = {"ials": ials, "item-knn": item_knn, "top-20": top_20, "local-ridge": local_ridge}

if __name__ == "__main__":
    task, _, where, _, start = sys.argv[1:]
    print(json.dumps(told(TASKS[task](load(Path(where)), Path(where), int(start)))))

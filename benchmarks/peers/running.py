"""Fit one model of another library and answer; runs in that library's own environment.

    python running.py MODEL FOLDER K_CHOOSE K_ANSWER SECONDS [--quick]

Reads ``test.npz`` and ``valid.npz`` of FOLDER, chooses settings on valid axis by axis as Endcap's
own models do, fits once on test's training part, and writes ``MODEL.npz`` and ``MODEL.json``. A
trial that would not end within SECONDS of choosing, as long as the one before it, is not begun;
after `PATIENCE` times as long all ends. Seconds are of processor time, all threads together.
"""

import json
import math
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
from scipy import sparse

BLOCK = 512
PATIENCE = 2.5


def implicit_als(train, past, settings, seed):
    """Alternating least squares; the user's factors are solved anew from the history."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(random_state=seed + 42, **settings)
    model.fit(train, show_progress=False)

    def scores(rows):
        factors = model.recalculate_user(np.arange(len(rows)), past[rows])
        return factors @ model.item_factors.T

    return scores


def implicit_bm25(train, past, settings, seed):
    """Item neighbours under BM25 weights."""
    from implicit.nearest_neighbours import BM25Recommender

    model = BM25Recommender(**settings)
    model.fit(train, show_progress=False)
    return lambda rows: (past[rows] @ model.similarity).toarray()


def irspack(name):
    """One of irspack's recommenders, asked as for a user it has not seen."""

    def build(train, past, settings, seed):
        import irspack.recommenders as library

        more = {"random_seed": seed + 42} if name == "IALSRecommender" else {}
        model = getattr(library, name)(train.astype(np.float64), **settings, **more).learn()
        return lambda rows: np.asarray(model.get_score_cold_user(past[rows].astype(np.float64)))

    return build


def rectools_ease(train, past, settings, seed):
    """RecTools' EASE: its item x item weights, applied to the history."""
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import EASEModel

    users, items = train.nonzero()
    frame = pd.DataFrame({Columns.User: users, Columns.Item: items, Columns.Weight: 1.0})
    frame[Columns.Datetime] = "2020-01-01"
    data = Dataset.construct(frame)
    model = EASEModel(**settings).fit(data)
    inner = data.item_id_map.convert_to_external(np.arange(data.item_id_map.size))

    def scores(rows):
        out = np.full((len(rows), past.shape[1]), -np.inf)
        out[:, inner] = past[rows][:, inner] @ model.weight
        return out

    return scores


def lenskit_item_knn(train, past, settings, seed):
    """LensKit's item neighbours on implicit feedback."""
    import pandas as pd
    from lenskit.data import ItemList, RecQuery, from_interactions_df
    from lenskit.knn import ItemKNNScorer

    users, items = train.nonzero()
    data = from_interactions_df(pd.DataFrame({"user_id": users, "item_id": items}))
    model = ItemKNNScorer(feedback="implicit", **settings)
    model.train(data)
    known = data.items.ids()

    def scores(rows):
        out = np.full((len(rows), past.shape[1]), -np.inf)
        for place, row in enumerate(rows):
            history = past.indices[past.indptr[row] : past.indptr[row + 1]]
            query = RecQuery(user_items=ItemList(item_ids=history))
            told = model(query, ItemList(item_ids=known)).scores()
            out[place, known] = np.nan_to_num(told, nan=-np.inf)
        return out

    return scores


MODELS = {
    "implicit-als": (
        implicit_als,
        {"factors": (64, 128), "regularization": (0.01, 0.1, 1.0, 10.0), "alpha": (1.0, 5.0, 20.0)},
    ),
    "implicit-bm25": (
        implicit_bm25,
        {"K": (100, 30, 300), "K1": (1.2, 0.5, 3.0), "B": (0.75, 0.2, 1.0)},
    ),
    "irspack-ials": (
        irspack("IALSRecommender"),
        {"n_components": (64, 128), "alpha0": (0.1, 0.03, 0.3), "reg": (0.003, 0.001, 0.01)},
    ),
    "irspack-rp3beta": (
        irspack("RP3betaRecommender"),
        {"top_k": (100, 300), "alpha": (1.0, 0.6), "beta": (0.6, 0.3, 0.1)},
    ),
    "irspack-slim": (
        irspack("SLIMRecommender"),
        {"alpha": (0.05, 0.01, 0.1), "l1_ratio": (0.01, 0.05)},
    ),
    "irspack-dense-slim": (
        irspack("DenseSLIMRecommender"),
        {"reg": (100.0, 300.0, 1000.0, 3000.0)},
    ),
    "rectools-ease": (rectools_ease, {"regularization": (100.0, 300.0, 1000.0, 3000.0)}),
    "lenskit-item-knn": (lenskit_item_knn, {"max_nbrs": (20, 50, 100)}),
}
"""The function that fits, and the settings among which validation chooses."""


def load(path):
    """Read a split: training matrix, histories, targets."""
    with np.load(path, allow_pickle=False) as file:
        found = dict(file)
    items = int(found["shape"][1])
    found["train"] = binary(found["train_indptr"], found["train_items"], items)
    found["past"] = binary(found["past_indptr"], found["past_items"], items)
    return found


def binary(indptr, indices, width):
    """Return a CSR matrix of ones."""
    ones = np.ones(len(indices), np.float32)
    return sparse.csr_matrix((ones, indices, indptr), shape=(len(indptr) - 1, width))


def answer(scores, split, k):
    """Return the k best items of each query; what scores nothing (or was taken) is left out."""
    past, lists = split["past"], []
    for start in range(0, past.shape[0], BLOCK):
        rows = np.arange(start, min(start + BLOCK, past.shape[0]))
        found = np.array(scores(rows), np.float64)
        found[np.isnan(found)] = -np.inf
        found[~split["warm"][rows]] = -np.inf
        if split["exclude_seen"]:
            found[past[rows].nonzero()] = -np.inf
        lists += [top(row, k) for row in found]
    return lists


def top(values, k):
    """Return the places of the k largest values above minus infinity, ties by place."""
    least = np.partition(values, -k)[-k] if k < len(values) else -np.inf
    able = np.flatnonzero((values >= least) & (values > -np.inf))
    return able[np.argsort(-values[able], kind="stable")[:k]]


def ndcg(lists, split, k):
    """Mean NDCG@k of the users with a history."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    total, count = 0.0, 0
    for query, items in enumerate(lists):
        if split["warm"][query]:
            wanted = split["targets"][slice(*split["target_indptr"][query : query + 2])]
            hit = np.isin(items[:k], wanted)
            total += hit @ discount[: len(hit)] / discount[: len(wanted)].sum()
            count += 1
    return total / max(count, 1)


def choose(build, axes, split, k, limit):
    """Search each axis in turn from the best so far, for about `limit` seconds."""
    best, end = {key: values[0] for key, values in axes.items()}, time.process_time() + limit

    def mark(settings):
        scores = build(split["train"], split["past"], settings, int(split["seed"]))
        return ndcg(answer(scores, split, k), split, k)

    start = time.process_time()
    score = mark(best)
    for key, values in axes.items():
        for value in values[1:]:
            now = time.process_time()
            if 2 * now - start > end:
                return best
            candidate, start = {**best, key: value}, now
            found = mark(candidate)
            if found > score:
                best, score = candidate, found
    return best


def main(model, folder, k_choose, k_answer, limit, quick):
    """Choose, fit, answer, write."""
    build, axes = MODELS[model]
    if math.isfinite(limit):
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(PATIENCE * limit),) * 2)
    if quick:
        settings = {key: values[0] for key, values in axes.items()}
    else:
        settings = choose(build, axes, load(folder / "valid.npz"), k_choose, limit)
    split = load(folder / "test.npz")
    marks = [(time.perf_counter(), os.times())]
    scores = build(split["train"], split["past"], settings, int(split["seed"]))
    marks.append((time.perf_counter(), os.times()))
    lists = answer(scores, split, k_answer)
    marks.append((time.perf_counter(), os.times()))
    cost = {}
    for name, (wall, cpu), (later, spent) in zip(
        ("fit", "answer"), marks[:-1], marks[1:], strict=True
    ):
        cost[f"{name}_s"] = later - wall
        cost[f"{name}_cpu_s"] = spent.user + spent.system - cpu.user - cpu.system
    cost["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    np.savez(
        folder / f"{model}.npz",
        indptr=np.concatenate(([0], np.cumsum([len(row) for row in lists]))).astype(np.int64),
        items=np.concatenate(lists).astype(np.int32),
    )
    told = {"settings": settings, "cost": cost}
    (folder / f"{model}.json").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    numbers = int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
    main(sys.argv[1], Path(sys.argv[2]), *numbers, "--quick" in sys.argv)

"""One task of `scale` by another library: ``scale_running.py TASK SYSTEM FOLDER THREADS SEED``."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from scipy import sparse

FACTORS, EPOCHS, K, NEIGHBOURS = 64, 8, 20, 100
BLOCK = 32
"""People scored at once where NDCG is found: memory is to be that of the systems."""


def load(folder):
    """Read the shop: training matrix, histories and answers of those who are asked."""
    with np.load(folder / "shop.npz") as stored:
        split = dict(stored)
    items = int(split["shape"][1])
    split["train"] = ones(split["indptr"], split["indices"], items)
    split["past"] = split["train"][split["asked"]]
    split["held"] = ones(split["held_indptr"], split["held"], items)
    return split


def ones(indptr, indices, width):
    """Return a CSR array of ones."""
    shape = len(indptr) - 1, width
    return sparse.csr_array((np.ones(len(indices), np.float32), indices, indptr), shape=shape)


def ndcg(x, y, split):
    """Mean NDCG@20 of those who are asked, past items left out."""
    discount = 1 / np.log2(np.arange(2, K + 2))
    held, past, total, count = split["held"], split["past"], 0.0, 0
    for start in range(0, len(x), BLOCK):
        scores = x[start : start + BLOCK] @ y.T
        scores[past[start : start + BLOCK].nonzero()] = -np.inf
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        ranked = np.take_along_axis(scores, best, axis=1)
        best = np.take_along_axis(best, np.argsort(-ranked, axis=1), axis=1)
        for row, found in enumerate(best, start):
            wanted = held.indices[held.indptr[row] : held.indptr[row + 1]]
            if len(wanted):
                total += np.isin(found, wanted) @ discount / discount[: len(wanted)].sum()
                count += 1
    return float(total / max(count, 1))


def told(row):
    """Add what the process needed."""
    # Linux's VmHWM begins anew with a program; ru_maxrss would start at what the parent held.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    row["peak_mb"] = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    row["cpu_s"] = time.process_time()
    return row


def implicit_ials(split, folder, threads, seed):
    """implicit's ALS (regularisation and alpha chosen at a sixteenth of the size)."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        FACTORS, regularization=10.0, alpha=1.0, iterations=EPOCHS, num_threads=threads,
        random_state=seed,
    )  # fmt: skip
    asked, past = np.arange(split["past"].shape[0]), sparse.csr_matrix(split["past"])
    at, marks, spent, began = [], [], 0.0, time.perf_counter()

    def mark(*_):
        nonlocal spent, began
        spent += time.perf_counter() - began
        at.append(spent)
        users = model.recalculate_user(asked, past)
        marks.append(ndcg(users, model.item_factors, split))
        began = time.perf_counter()

    model.fit(sparse.csr_matrix(split["train"]), show_progress=False, callback=mark)
    return {"wall_s": spent, "at_s": at, "ndcg@20": marks}


def irspack_ials(split, folder, threads, seed):
    """irspack's iALS with its default solver (weights chosen at a sixteenth of the size)."""
    from irspack import IALSRecommender

    train, past = sparse.csr_matrix(split["train"]), sparse.csr_matrix(split["past"])
    began = time.perf_counter()
    recommender = IALSRecommender(
        train, n_components=FACTORS, alpha0=900 / train.shape[1], reg=0.003, n_threads=threads,
        random_seed=seed,
    )  # fmt: skip
    trainer = recommender._create_trainer()
    at, marks, spent = [], [], 0.0
    for _ in range(EPOCHS):
        trainer.run_epoch()
        spent += time.perf_counter() - began
        at.append(spent)
        marks.append(ndcg(trainer.transform_user(past), trainer.core_trainer.item, split))
        began = time.perf_counter()
    return {"wall_s": spent, "at_s": at, "ndcg@20": marks}


def implicit_knn(split, folder, threads, seed):
    """implicit's BM25 item neighbours."""
    from implicit.nearest_neighbours import BM25Recommender

    train = sparse.csr_matrix(split["train"])
    began = time.perf_counter()
    BM25Recommender(K=NEIGHBOURS, num_threads=threads).fit(train, show_progress=False)
    return {"wall_s": time.perf_counter() - began}


def implicit_top(split, folder, threads, seed):
    """implicit's recommend for everybody, from given factors; seen items are left out."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(FACTORS, num_threads=threads)
    with np.load(folder / "factors.npz") as stored:
        model.user_factors, model.item_factors = stored["x"], stored["y"]
    train = sparse.csr_matrix(split["train"])
    began = time.perf_counter()
    model.recommend(np.arange(train.shape[0]), train, N=K)
    return {"wall_s": time.perf_counter() - began}


TASKS = {
    ("ials", "implicit"): implicit_ials,
    ("ials", "irspack"): irspack_ials,
    ("item-knn", "implicit"): implicit_knn,
    ("top-20", "implicit"): implicit_top,
}

if __name__ == "__main__":
    task, system, where, threads, seed = sys.argv[1:]
    found = TASKS[task, system](load(Path(where)), Path(where), int(threads), int(seed))
    print(json.dumps(told(found)))

"""Blend what several models propose: a weighted sum, the weights chosen on validation."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from benchmarks.tuning import DEPTH, Choice, mark
from endcap.evaluate.exam import Exam
from endcap.models.candidates import Candidates

WEIGHTS = (0.1, 0.2, 0.4, 0.7, 1.0, 2.0)
ROUNDS = 2


def choose_weights(choices: Mapping[str, Choice], trial: Exam, k: int) -> dict[str, float]:
    """Start from the best model, then let each other in at the weight that helps most.

    Models are tried by falling validation score, `ROUNDS` times, so that weights can be taken
    back. What does not help stays out.
    """
    width = len(trial.buyers)
    order = sorted(choices, key=lambda name: -choices[name].score)
    parts = {name: spread(choices[name].lists, width) for name in order}
    weights = {order[0]: 1.0}
    best = choices[order[0]].score
    for name in order[1:] * ROUNDS:
        for weight in (*WEIGHTS, 0.0):
            tried = {**weights, name: weight}
            score = mark(mix(parts, tried, k), trial, k)
            if score > best:
                best, weights = score, tried
    return {name: weight for name, weight in weights.items() if weight > 0}


def mix(
    parts: Mapping[str, sparse.csr_array], weights: Mapping[str, float], k: int = DEPTH
) -> Candidates:
    """Return the k best of the weighted sum of `spread` lists, ties by row number."""
    total = sum(weight * parts[name] for name, weight in weights.items() if weight)
    assert isinstance(total, sparse.csr_array)
    flat = Candidates(
        total.indptr.astype(np.int64),
        total.indices.astype(np.int32),
        total.data.astype(np.float32),
        np.zeros(total.nnz, np.uint8),
    )
    return flat.sorted().top(k)


def spread(lists: Candidates, width: int) -> sparse.csr_array:
    """Return lists as CSR (n, n_items) with each row's scores over its best; only what is > 0."""
    scores = np.nan_to_num(lists.scores, nan=0.0)
    top = np.zeros(len(lists))
    np.maximum.at(top, lists.query_of, scores)
    share = np.divide(
        scores, top[lists.query_of], out=np.zeros(len(scores)), where=top[lists.query_of] > 0
    )
    flat = (np.maximum(share, 0), lists.items, lists.indptr)
    out = sparse.csr_array(flat, (len(lists), width), copy=True)
    out.eliminate_zeros()  # in place: hence the copy
    return out

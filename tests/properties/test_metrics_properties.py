"""Ranking metrics equal two independent implementations, and a ten-line naive one."""

import math

import numpy as np
import pytest
import pytrec_eval
import ranx
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.evaluate.metrics import METRICS, per_user
from endcap.models.candidates import Candidates
from endcap.prepare.split import Targets

KS = (1, 3, 10, 20)
CASES = 10_000
SMALL = 40
TREC = {
    "ndcg": "ndcg_cut",
    "recall": "recall",
    "precision": "P",
    "map": "map_cut",
    "hit": "success",
}
RANX = {
    "ndcg": "ndcg",
    "recall": "recall",
    "precision": "precision",
    "map": "map",
    "mrr": "mrr",
    "hit": "hit_rate",
}


def batch(seed: int, *, users: int = SMALL, levels: int = 0) -> tuple[Candidates, Targets]:
    """Random lists of 0 to 30 of 40 items; `levels` > 0 draws that few different scores."""
    random = np.random.default_rng(seed)
    rows, scores, wanted = [], [], []
    for _ in range(users):
        rows.append(random.permutation(40)[: random.integers(0, 31)])
        size = len(rows[-1])
        drawn = random.integers(0, levels, size) if levels else random.permutation(size)
        scores.append(drawn.astype(np.float32))
        wanted.append(np.sort(random.permutation(40)[: random.integers(1, 26)]))
    counts = np.array([len(row) for row in wanted])
    indptr = np.concatenate(([0], np.cumsum(counts)))
    return Candidates.of(rows, scores).sorted(), Targets(indptr, np.concatenate(wanted))


def name(row: int) -> str:
    """trec_eval puts the later id first among equals; we put the smaller row first."""
    return f"{999 - row:03d}"


def as_dicts(lists: Candidates, targets: Targets, *, strict: bool) -> tuple[dict, dict]:
    qrels, run = {}, {}
    for q in range(len(lists)):
        items, scores = lists.row(q)
        values = -np.arange(len(items), dtype=float) if strict else scores
        run[str(q)] = {name(i): float(s) for i, s in zip(items, values, strict=True)}
        wanted = targets.items[targets.indptr[q] : targets.indptr[q + 1]]
        qrels[str(q)] = {name(i): 1 for i in wanted}
    return qrels, run


def naive(ranked: list[int], wanted: set[int], k: int) -> dict[str, float]:
    hit = [i in wanted and i not in ranked[:at] for at, i in enumerate(ranked[:k])]
    first = next((at for at, h in enumerate(hit, 1) if h), math.inf)
    return {
        "ndcg": sum(h / math.log2(at + 1) for at, h in enumerate(hit, 1))
        / (sum(1 / math.log2(at + 1) for at in range(1, min(k, len(wanted)) + 1)) or 1),
        "recall": sum(hit) / max(len(wanted), 1),
        "precision": sum(hit) / k,
        "map": sum(sum(hit[:at]) / at for at, h in enumerate(hit, 1) if h) / max(len(wanted), 1),
        "mrr": 1 / first,
        "hit": float(any(hit)),
    }


def close(ours: np.ndarray, theirs: list[float], key: str) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9, err_msg=key)


def against_trec_eval(lists: Candidates, targets: Targets) -> None:
    qrels, run = as_dicts(lists, targets, strict=False)
    measures = {f"{rule}.{','.join(map(str, KS))}" for rule in TREC.values()}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    ours = per_user(lists, targets, KS)
    for short, rule in TREC.items():
        for k in KS:
            # trec_eval says nothing of a query that returned nothing; we say 0.
            told = [theirs.get(str(q), {}).get(f"{rule}_{k}", 0.0) for q in range(len(lists))]
            close(ours[f"{short}@{k}"], told, f"{short}@{k}")


@pytest.mark.parametrize("levels", [0, 2, 5])
def test_equals_trec_eval_on_ten_thousand_cases_with_ties_and_empty_lists(levels: int) -> None:
    lists, targets = batch(76, users=CASES, levels=levels)
    assert any(len(lists.row(q)[0]) == 0 for q in range(CASES))
    against_trec_eval(lists, targets)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from((0, 2, 5)))
def test_equals_trec_eval_for_any_seed(seed: int, levels: int) -> None:
    against_trec_eval(*batch(seed, levels=levels))


@pytest.mark.parametrize("k", KS)
def test_reciprocal_rank_equals_trec_eval(k: int) -> None:
    lists, targets = batch(77, users=CASES, levels=3)
    qrels, run = as_dicts(lists.top(k), targets, strict=False)
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(run)
    told = [theirs.get(str(q), {}).get("recip_rank", 0.0) for q in range(CASES)]
    close(per_user(lists, targets, KS)[f"mrr@{k}"], told, f"mrr@{k}")


@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaTypeSafetyWarning")
def test_equals_ranx_on_ten_thousand_cases() -> None:
    lists, targets = batch(78, users=CASES)
    kept = [q for q in range(CASES) if len(lists.row(q)[0])]
    qrels, run = as_dicts(lists, targets, strict=True)
    keys = [f"{rule}@{k}" for rule in RANX.values() for k in KS]
    # ranx refuses a query with an empty list, so those are left to trec_eval and the naive version.
    relevant = ranx.Qrels({str(q): qrels[str(q)] for q in kept})
    answered = ranx.Run({str(q): run[str(q)] for q in kept})
    ranx.evaluate(relevant, answered, keys, return_mean=False)
    ours = per_user(lists, targets, KS)
    for short, rule in RANX.items():
        for k in KS:
            told = [answered.scores[f"{rule}@{k}"][str(q)] for q in kept]
            close(ours[f"{short}@{k}"][kept], told, f"{short}@{k}")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 12), max_size=25), st.sets(st.integers(0, 12), max_size=9)
        ),
        min_size=1,
        max_size=20,
    )
)
def test_equals_the_naive_version_with_duplicates(cases: list[tuple[list[int], set[int]]]) -> None:
    lists = Candidates.of([ranked for ranked, _ in cases])
    wanted = [sorted(items) for _, items in cases]
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in wanted])))
    targets = Targets(
        indptr.astype(np.int64), np.array([item for row in wanted for item in row], np.int32)
    )
    ours = per_user(lists, targets, KS)
    for q, (ranked, items) in enumerate(cases):
        for k in KS:
            for short, value in naive(ranked, items, k).items():
                assert ours[f"{short}@{k}"][q] == pytest.approx(value, abs=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_stay_between_0_and_1_and_reward_a_perfect_list(seed: int) -> None:
    _, targets = batch(seed)
    perfect = Candidates(
        targets.indptr,
        targets.items.astype(np.int32),
        np.zeros(len(targets.items), np.float32),
        np.zeros(len(targets.items), np.uint8),
    )
    best = per_user(perfect, targets, KS)
    for k in KS:
        close(best[f"ndcg@{k}"], [1.0] * SMALL, "ndcg of a perfect list")
        close(best[f"mrr@{k}"], [1.0] * SMALL, "mrr of a perfect list")
    some = per_user(*batch(seed), KS)
    assert all(((values >= 0) & (values <= 1 + 1e-12)).all() for values in some.values())


def test_names_every_metric_at_every_k() -> None:
    lists, targets = batch(0)
    assert set(per_user(lists, targets, (5,))) == {f"{short}@5" for short in METRICS}

"""BPR and WARP against finite differences, a general optimiser, and what they promise."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize

from endcap.models.bpr import BPR
from endcap.models.bpr_folding import Rivals, fold_in
from endcap.models.bpr_sgd import START, Tables, learn_pairs
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.testing.contracts.models import shop
from endcap.testing.oracles import checkerboard


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shop()


def loss_of(tables: Tables, warp: bool, draws: int) -> float:
    """Of user 0 with item 0 taken and item 1 drawn, before a step."""
    p, q, r = tables.users[0], tables.items[0], tables.items[1]
    apart = p @ (q - r) + tables.bias[0] - tables.bias[1]
    if warp:
        return float(-np.log(2 // draws) * apart)
    return float(np.log1p(np.exp(-apart)))


@pytest.mark.parametrize("warp", [False, True])
def test_a_step_goes_down_the_slope(warp: bool) -> None:
    """One pair, one rival: each row moves by its slope over the root of the slope's mean square."""
    rng = np.random.default_rng(0)
    one = sparse.csr_array(np.array([[1.0, 0.0]], np.float32))
    start = Tables.start((1, 2), 3, 1.0, rng)
    start = start._replace(bias=np.array([0.2, -0.1], np.float32))
    before = Tables(*(x.astype(np.float64) for x in start))
    only_other = np.array([1, 1], np.int32)
    learn_pairs(one, start, only_other, (0.05, 0.1, 0.2, warp, 5), rng)
    for name, l2 in (("users", 0.1), ("items", 0.1), ("bias", 0.2)):
        table = getattr(before, name)
        slope = np.zeros_like(table)
        for at in np.ndindex(table.shape):
            ends = []
            for sign in (1, -1):
                moved = table.copy()
                moved[at] += sign * 1e-5
                ends.append(loss_of(before._replace(**{name: moved}), warp, 1))
            slope[at] = (ends[0] - ends[1]) / 2e-5 + l2 * table[at]
        energy = (slope**2).mean(axis=-1, keepdims=True) if slope.ndim > 1 else slope**2
        expected = table - 0.05 * slope / np.sqrt(START + energy)
        np.testing.assert_allclose(getattr(start, name), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("l2", [0.01, 0.3])
def test_a_history_is_folded_in_to_the_optimum(l2: float) -> None:
    rng = np.random.default_rng(1)
    factors = rng.standard_normal((30, 4)).astype(np.float32)
    bias = rng.standard_normal(30).astype(np.float32)
    panel = rng.permutation(30)[:12].astype(np.int32)
    history = np.zeros((2, 30), np.float32)
    history[0, [3, int(panel[0]), 7]] = 1.0, 2.0, 0.5
    found = fold_in(
        sparse.csr_array(history), (factors, bias), Rivals.of(factors, bias, panel), (l2, 400)
    )
    against = np.array([j for j in panel if not history[0, j]])

    def objective(p: np.ndarray) -> float:
        s = factors.astype(float) @ p + bias
        total = 0.0
        for i in np.flatnonzero(history[0]):
            misplaced = np.log1p(np.exp(-(s[i] - s[against]))).mean()
            total += history[0, i] * (misplaced + l2 / 2 * p @ p)
        return float(total)

    best = minimize(objective, np.zeros(4), tol=1e-12)
    assert objective(found[0].astype(float)) < best.fun + 1e-4
    np.testing.assert_allclose(found[0], best.x, rtol=2e-2, atol=2e-2)
    assert not found[1].any()


@pytest.mark.parametrize("loss", ["bpr", "warp"])
def test_order_is_learnt(loss: str) -> None:
    told: list[float] = []
    BPR(loss=loss, factors=8, epochs=60, l2=0.001).fit(
        checkerboard().data, progress=lambda done, total, note="": told.append(float(note[10:]))
    )
    assert told[-1] < min(0.1, told[0] / 3)


def test_rivals_are_drawn_as_asked(data: Dataset) -> None:
    counts = np.array([0, 1, 4, 16])
    alike = np.bincount(BPR(rivals=0.0)._tickets(counts), minlength=4)
    popular = np.bincount(BPR(rivals=1.0)._tickets(counts), minlength=4)
    np.testing.assert_allclose(alike / alike.sum(), [0, 1 / 3, 1 / 3, 1 / 3], atol=0.02)
    np.testing.assert_allclose(popular / popular.sum(), counts / 21, atol=0.02)


def test_what_counts_more_comes_sooner(data: Dataset) -> None:
    model = BPR(factors=8, confidence="weight").fit(data)
    plain = Queries.of_histories([[0, 1]])
    heavy = Queries.of_histories([[0, 1]], weights=[[1.0, 20.0]])
    gain = model.scores(heavy)[0] - model.scores(plain)[0]
    assert gain[1] > gain[0]

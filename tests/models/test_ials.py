"""iALS against dense normal equations."""

import numpy as np
import pytest
from scipy import sparse

from endcap.models.ials import IALS, _lean
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.testing.contracts.models import shop


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shop()


def naive_rows(x: np.ndarray, y: np.ndarray, spec: IALS) -> np.ndarray:
    out = np.zeros((len(x), y.shape[1]))
    for u, row in enumerate(spec.alpha * x):
        taken = row.sum() + spec.unobserved * len(row)
        a = spec.unobserved * y.T @ y + (y.T * row) @ y
        out[u] = np.linalg.solve(
            a + spec.l2 * taken**spec.frequency * np.eye(y.shape[1]), y.T @ row
        )
    return out


@pytest.mark.parametrize("frequency", [0.0, 1.0])
def test_exact_solutions_equal_the_normal_equations(data: Dataset, frequency: float) -> None:
    spec = IALS(
        factors=5, l2=0.1, frequency=frequency, alpha=2.0, confidence="log", solver="cholesky"
    )
    y = np.random.default_rng(0).standard_normal((len(data.items), 5)).astype(np.float32)
    matrix = spec.train_matrix(data)
    expected = naive_rows(matrix.toarray().astype(float), y.astype(float), spec)
    np.testing.assert_allclose(spec.solve(matrix, y), expected, rtol=1e-3, atol=1e-5)


def test_many_steps_of_conjugate_gradients_are_exact(data: Dataset) -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((len(data.items), 7)).astype(np.float32)
    start = rng.standard_normal((len(data.users), 7)).astype(np.float32)
    matrix = data.matrix(None)
    exact = IALS(l2=0.1, solver="cholesky").solve(matrix, y)
    slow = IALS(l2=0.1, cg_steps=30).solve(matrix, y, start.copy())
    np.testing.assert_allclose(slow, exact, rtol=1e-3, atol=1e-4)
    few = IALS(l2=0.1, cg_steps=2).solve(matrix, y, start.copy())
    assert np.abs(few - exact).max() > np.abs(slow - exact).max()


def test_steps_without_a_start_reach_the_normal_equations(data: Dataset) -> None:
    y = np.random.default_rng(0).standard_normal((len(data.items), 5)).astype(np.float32)
    matrix, stiff = data.matrix(None), {"l2": 1e-4, "unobserved": 1e-3}
    exact = IALS(solver="cholesky", **stiff).solve(matrix, y)
    np.testing.assert_allclose(IALS(**stiff).solve(matrix, y), exact, rtol=1e-3, atol=1e-4)


def loss(spec: IALS, x: np.ndarray, users: np.ndarray, items: np.ndarray) -> float:
    s = users @ items.T
    ridge_u, ridge_i = (
        (spec.alpha * x.sum(axis=a) + spec.unobserved * x.shape[a]) ** spec.frequency
        for a in (1, 0)
    )
    fit = (spec.alpha * x * (1 - s) ** 2).sum() + spec.unobserved * (s**2).sum()
    return float(fit + spec.l2 * ((ridge_u @ users**2).sum() + (ridge_i @ items**2).sum()))


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
def test_each_epoch_lowers_the_loss(data: Dataset, solver: str) -> None:
    x = data.matrix(None).toarray().astype(float)
    everyone = Queries.of_users(data, np.arange(len(data.users)))
    losses = []
    for epochs in (1, 2, 4, 8):
        spec = IALS(factors=6, epochs=epochs, solver=solver, l2=0.05)
        model = spec.fit(data, rng=1)
        losses.append(loss(spec, x, model.factors_of(everyone), model.item_factors))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.9 * losses[0]


def test_progress_is_told(data: Dataset) -> None:
    told: list[tuple[int, int]] = []
    IALS(factors=2, epochs=3).fit(
        data, progress=lambda done, total, note="": told.append((done, total))
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_weights_of_one_are_held_by_a_byte(data: Dataset) -> None:
    ones, spec = data.matrix(None), IALS(factors=5)
    heavier = ones.copy()
    heavier.data[0] = 2
    assert _lean(ones).data.base.nbytes == 1
    assert _lean(heavier) is heavier
    assert (_lean(ones) != ones).nnz == 0
    for lean, plain in zip(next(spec.alternate(ones)), _plain_epoch(spec, ones), strict=True):
        np.testing.assert_array_equal(lean, plain)


def _plain_epoch(spec: IALS, matrix: sparse.csr_array) -> list[np.ndarray]:
    """The factors after an epoch for which every weight is written down."""
    double, once = matrix * np.float32(2), spec.model_copy(update={"alpha": 0.5})
    return list(next(once.alternate(double)))

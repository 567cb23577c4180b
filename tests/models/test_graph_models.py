"""The models of the item graph against dense versions of ten lines."""

import numpy as np
import pytest
from scipy import sparse

from endcap.features.spectrum import leading
from endcap.models.queries import Queries
from endcap.models.rp3beta import RP3Beta
from endcap.models.spectral import Spectral
from endcap.models.user_knn import UserKNN
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import ConfigError
from endcap.testing.contracts.models import shop


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shop()


def everybody(data: Dataset) -> Queries:
    return Queries.of_users(data, np.arange(len(data.users)))


def taken(data: Dataset) -> np.ndarray:
    return data.matrix(None).toarray().astype(float)


def naive_walk(x: np.ndarray, alpha: float, user_alpha: float, beta: float) -> np.ndarray:
    items, users = np.maximum(x.sum(axis=0), 1e-9), x.sum(axis=1)
    b = (x.T / items[:, None] ** alpha) @ (x / users[:, None] ** user_alpha) / items**beta
    np.fill_diagonal(b, 0)
    return b


@pytest.mark.parametrize(("alpha", "user_alpha", "beta"), [(1.0, 1.0, 0.5), (0.4, 0.7, -0.3)])
def test_the_walk_equals_the_formula(
    data: Dataset, alpha: float, user_alpha: float, beta: float
) -> None:
    model = RP3Beta(alpha=alpha, user_alpha=user_alpha, beta=beta).fit(data)
    expected = naive_walk(taken(data), alpha, user_alpha, beta)
    np.testing.assert_allclose(model.effects.toarray(), expected, rtol=1e-4, atol=1e-7)


def test_without_beta_a_walk_of_three_steps_is_a_distribution(data: Dataset) -> None:
    """P_ui P_iu P_ui of the paper: leaving the diagonal in, the rows would sum to 1."""
    x = taken(data)[:, : len(data.items) - 2]
    model = RP3Beta(alpha=1.0, user_alpha=1.0, beta=0.0).fit(data)
    back = (x**2 / x.sum(axis=1, keepdims=True)).sum(axis=0) / x.sum(axis=0)
    walks = model.effects.sum(axis=1)[: x.shape[1]]
    np.testing.assert_allclose(walks + back, 1.0, rtol=1e-5)


def test_the_strongest_walks_are_kept(data: Dataset) -> None:
    full = RP3Beta().fit(data).effects.toarray()
    few = RP3Beta(neighbours=3).fit(data).effects.toarray()
    assert (np.count_nonzero(few, axis=1) <= 3).all()
    np.testing.assert_allclose(np.sort(full, axis=1)[:, -3:], np.sort(few, axis=1)[:, -3:])


def naive_filter(x: np.ndarray, spec: Spectral) -> np.ndarray:
    """Return the scores of every user by a dense SVD."""
    users, items = x.sum(axis=1), np.maximum(x.sum(axis=0), 1e-9)
    r = x / users[:, None] ** (spec.user_norm / 2) / items**spec.item_norm
    _, s, w = np.linalg.svd(r, full_matrices=False)
    s, w = s[: spec.factors], w[: spec.factors]
    share = (s / s[0]) ** 2
    f = share / (share + spec.ridge) if spec.filter == "ridge" else np.ones_like(s)
    kept = (x / items**spec.source) @ (w.T * f) @ w * items**spec.target
    return kept + spec.linear * x @ r.T @ r


@pytest.mark.parametrize(
    "spec",
    [
        Spectral(),
        Spectral(factors=5, ridge=0.3, linear=2.0),
        Spectral(factors=6, filter="ideal", source=0.5, target=0.5, linear=1 / 0.3),
        Spectral(factors=4, user_norm=0.0, item_norm=0.25, source=-0.2, target=-0.5),
    ],
)
def test_the_filter_equals_a_dense_decomposition(data: Dataset, spec: Spectral) -> None:
    warm = slice(0, len(data.items) - 2)
    scores = spec.fit(data).scores(everybody(data))
    expected = naive_filter(taken(data)[:, warm], spec)
    np.testing.assert_allclose(scores[:, warm], expected, rtol=1e-3, atol=1e-4)


def test_reasons_of_a_filter_sum_to_its_scores_with_its_linear_part(data: Dataset) -> None:
    spec = Spectral(factors=5, linear=2.0, source=0.3, confidence="log", decay_events=3.0)
    model, query = spec.fit(data), everybody(data)[4:5]
    items = np.arange(len(data.items) - 2, dtype=np.int32)
    shares = model.contributions(query, items)
    np.testing.assert_allclose(shares.sum(axis=1), model.scores(query)[0][items], rtol=1e-4)


def test_a_filter_is_silent_on_what_it_does_not_know(data: Dataset) -> None:
    model = Spectral(linear=1.0).fit(data)
    untouched = len(data.items) - 1
    scores = model.scores(Queries.of_histories([[], [untouched], [-1], [0, untouched]]))
    assert np.isnan(scores[:3]).all()
    assert np.isnan(scores[:, untouched]).all()
    assert not np.isnan(scores[3, : untouched - 1]).any()


def test_a_misspelt_filter_is_refused() -> None:
    with pytest.raises(ConfigError, match="filter"):
        Spectral.parse({"filter": "rigde"})


def test_the_leading_values_equal_lapack() -> None:
    matrix = sparse.random_array((300, 200), density=0.2, rng=np.random.default_rng(1))
    values, vectors = leading(matrix.tocsr().astype(np.float32), 20, rng=0, passes=8)
    _, s, w = np.linalg.svd(matrix.toarray())
    assert values.dtype == vectors.dtype == np.float32
    np.testing.assert_allclose(values, s[:20], rtol=1e-4)
    np.testing.assert_allclose(np.abs((w[:5] @ vectors[:, :5]).diagonal()), 1, atol=1e-3)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(20), atol=1e-5)


def test_no_more_directions_than_the_rank() -> None:
    matrix = sparse.csr_array(np.outer(np.ones(9), [1, 0, 2]).astype(np.float32))
    values, vectors = leading(matrix, 3)
    np.testing.assert_allclose(values, [np.sqrt(45)], rtol=1e-5)
    np.testing.assert_allclose(np.abs(vectors[:, 0]), np.array([1, 0, 2]) / np.sqrt(5), atol=1e-6)
    assert leading(sparse.csr_array((4, 0), dtype=np.float32), 2)[1].shape == (0, 0)
    assert leading(sparse.csr_array((4, 3), dtype=np.float32), 2)[1].shape == (3, 0)


def test_sharper_people_and_held_back_bestsellers_equal_the_formula(data: Dataset) -> None:
    spec = UserKNN(weighting="none", neighbours=99, sharpness=2.0, popularity=-0.4)
    model, x = spec.fit(data), taken(data)
    lengths = np.linalg.norm(x, axis=1)
    near = (x @ x.T / np.outer(lengths, lengths)) ** 2
    expected = near @ x * np.maximum(x.sum(axis=0), 1) ** -0.4
    scores = model.scores(everybody(data))
    np.testing.assert_allclose(np.nan_to_num(scores), expected, rtol=1e-4)
    query, items = everybody(data)[3:4], np.arange(20, dtype=np.int32)
    np.testing.assert_allclose(
        model.contributions(query, items).sum(axis=1), expected[3, :20], rtol=1e-4
    )

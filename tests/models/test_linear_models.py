"""EASE and the neighbour models against dense versions of ten lines."""

import numpy as np
import pytest

from endcap.models.ease import EASE
from endcap.models.inverse import BASE, invert
from endcap.models.item_knn import ItemKNN
from endcap.models.queries import Queries
from endcap.models.topk import top_of_rows
from endcap.models.user_knn import UserKNN
from endcap.models.weighting import bm25, idf, tf_idf
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import ConfigError
from endcap.testing.contracts.models import shop


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shop()


def dense_effects(model) -> np.ndarray:  # type: ignore[no-untyped-def]
    return np.asarray(
        model.effects.todense() if hasattr(model.effects, "todense") else model.effects
    )


def naive_ease(x: np.ndarray, l2: float) -> np.ndarray:
    p = np.linalg.inv(x.T @ x + l2 * np.eye(x.shape[1]))
    b = -p / np.diag(p)
    np.fill_diagonal(b, 0)
    return b


def test_ease_equals_the_formula(data: Dataset) -> None:
    model = EASE(l2=3.0).fit(data)
    x = data.matrix(None).toarray().astype(float)[:, model.rows]
    np.testing.assert_allclose(model.effects, naive_ease(x, 3.0), atol=1e-5)
    queries = Queries.of_users(data, np.arange(len(data.users)))
    np.testing.assert_allclose(
        model.scores(queries)[:, model.rows], x @ naive_ease(x, 3.0), atol=1e-5
    )


def test_data_adaptive_normalisation_equals_the_formula(data: Dataset) -> None:
    alpha, beta = 0.2, 0.6
    model = EASE(l2=0.5, user_norm=beta, item_norm=0.5, popularity=0.5 - alpha).fit(data)
    x = data.matrix(None).toarray().astype(float)[:, model.rows]
    users, items = x.sum(axis=1), x.sum(axis=0)
    gram = (items ** (alpha - 1))[:, None] * (x.T @ (x / users[:, None] ** beta)) * items**-alpha
    p = np.linalg.inv(gram + 0.5 * np.eye(len(items)))
    b = -p / np.diag(p)
    np.fill_diagonal(b, 0)
    np.testing.assert_allclose(model.effects, b, atol=1e-4)


def test_ease_says_what_to_do_where_memory_would_not_do(data: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"max_items is 5.*item-knn"):
        EASE(max_items=5).fit(data)


@pytest.mark.parametrize("n", [0, 1, BASE, 2 * BASE + 37])
def test_inverse(n: int) -> None:
    root = np.random.default_rng(0).standard_normal((n, n + 5)).astype(np.float32)
    matrix = root @ root.T + 50 * np.eye(n, dtype=np.float32)
    inverse = invert(matrix.copy())
    assert inverse.dtype == np.float32
    np.testing.assert_allclose(inverse @ matrix, np.eye(n), atol=2e-4)
    np.testing.assert_allclose(inverse, inverse.T, atol=1e-6)


def naive_neighbours(x: np.ndarray, n: int, shrink: float, a: float) -> np.ndarray:
    lengths = np.linalg.norm(x, axis=0)
    lengths[lengths == 0] = 1
    s = x.T @ x / (np.outer(lengths ** (2 * a), lengths ** (2 - 2 * a)) + shrink)
    np.fill_diagonal(s, 0)
    for i, row in enumerate(s):
        s[i, np.lexsort((np.arange(len(row)), -row))[n:]] = 0
    return s


@pytest.mark.parametrize("weighting", ["none", "tf-idf", "bm25"])
@pytest.mark.parametrize(("shrink", "norm"), [(0.0, 0.5), (4.0, 0.3)])
def test_item_neighbours_equal_the_formula(
    data: Dataset, weighting: str, shrink: float, norm: float
) -> None:
    spec = ItemKNN(
        neighbours=6, weighting=weighting, shrink=shrink, source_norm=norm, confidence="weight"
    )
    columns = data.matrix().T.tocsr()
    weigh = {"none": lambda c: c, "tf-idf": tf_idf, "bm25": lambda c: bm25(c, 1.2, 0.75)}
    x = weigh[weighting](columns).toarray().T.astype(float)
    expected = naive_neighbours(x, 6, shrink, norm)
    np.testing.assert_allclose(dense_effects(spec.fit(data)), expected, rtol=1e-4, atol=1e-6)


def test_dot_leaves_lengths_in_and_shares_can_sum_to_one(data: Dataset) -> None:
    x = data.matrix(None).toarray()
    s = x.T @ x
    np.fill_diagonal(s, 0)
    np.testing.assert_allclose(dense_effects(ItemKNN(similarity="dot").fit(data)), s)
    shared = dense_effects(ItemKNN(normalise=True).fit(data)).sum(axis=1)
    assert set(np.round(shared, 5)) == {0, 1}


def test_user_neighbours_equal_the_formula(data: Dataset) -> None:
    model = UserKNN(neighbours=5, shrink=0.5).fit(data)
    x = data.matrix(None).toarray().astype(float)
    compared = x * np.sqrt(idf(data.matrix(None)))
    lengths = np.linalg.norm(compared, axis=1)
    s = compared @ compared.T / (np.outer(lengths, lengths) + 0.5)
    for i, row in enumerate(s):
        s[i, np.lexsort((np.arange(len(row)), -np.float32(row)))[5:]] = 0
    scores = model.scores(Queries.of_users(data, np.arange(len(data.users))))
    np.testing.assert_allclose(np.nan_to_num(scores), s @ x, rtol=1e-3, atol=1e-5)


def test_a_stranger_finds_people_alike(data: Dataset) -> None:
    history = Queries.of_users(data, [4]).items
    near = UserKNN(weighting="none").fit(data).nearest(Queries.of_histories([history]))
    assert near.toarray()[0].argmax() == 4
    np.testing.assert_allclose(near.max(), 1.0, rtol=1e-6)


def test_the_best_of_sparse_rows() -> None:
    data = Dataset.of(["u"] * 4 + ["v"], ["a", "b", "c", "d", "a"], weights=[1, 3, 3, 2, 5])
    best = top_of_rows(data.matrix(), 2)
    assert best.toarray().tolist() == [[0, 3, 3, 0], [5, 0, 0, 0]]
    assert top_of_rows(data.matrix(), 9).toarray().tolist() == data.matrix().toarray().tolist()

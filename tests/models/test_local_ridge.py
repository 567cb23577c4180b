"""The local ridge against a dense version, and against EASE where nothing is left out."""

import numpy as np
import pytest

from endcap.models.ease import EASE
from endcap.models.local_ridge import LocalRidge
from endcap.prepare.dataset import Dataset
from endcap.testing.contracts.models import shop


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shop()


def naive(x: np.ndarray, spec: LocalRidge) -> np.ndarray:
    gram = x.T @ x
    lengths = np.sqrt(np.diag(gram))
    cosine = gram / np.outer(lengths, lengths)
    np.fill_diagonal(cosine, 0)
    out = np.zeros_like(gram)
    for j, row in enumerate(cosine):
        near = np.lexsort((np.arange(len(row)), -np.float32(row)))[: spec.neighbours]
        near = near[row[near] > 0]
        normal = gram[np.ix_(near, near)] + spec.l2 * np.eye(len(near))
        out[near, j] = np.linalg.solve(normal, gram[near, j])
    return out


@pytest.mark.parametrize("neighbours", [1, 7])
def test_each_item_is_a_small_ridge_problem(data: Dataset, neighbours: int) -> None:
    spec = LocalRidge(l2=2.0, neighbours=neighbours, pairs=10_000)
    model = spec.fit(data)
    x = data.matrix(None).toarray().astype(float)[:, model.rows]
    expected = naive(x, spec)
    alike = np.isclose(model.effects.toarray(), expected, rtol=1e-3, atol=1e-5).mean()
    assert alike > 0.99  # ties of cosines are broken by rounding


def test_with_every_item_a_neighbour_it_is_ease() -> None:
    taken = np.random.default_rng(0).random((40, 9)) < 0.3
    taken[0] = True  # so that every pair occurs
    users, items = taken.nonzero()
    data = Dataset.of([f"u{u}" for u in users], [f"i{i}" for i in items])
    settings = {"l2": 3.0, "user_norm": 0.5, "item_norm": 0.25, "popularity": 0.2}
    ours = LocalRidge(**settings).fit(data)
    np.testing.assert_allclose(
        ours.effects.toarray(), EASE(**settings).fit(data).effects, rtol=1e-3, atol=1e-5
    )


def test_a_cut_gram_matrix_still_has_a_solution(data: Dataset) -> None:
    model = LocalRidge(l2=1e-4, neighbours=20, pairs=2).fit(data)
    assert model.effects.nnz
    assert np.isfinite(model.effects.data).all()

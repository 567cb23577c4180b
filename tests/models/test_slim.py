"""SLIM against non-negative least squares, and against what its optimum must fulfil."""

import numpy as np
import pytest
from scipy.optimize import nnls

from endcap.models.near_gram import near_gram
from endcap.models.slim import SLIM
from endcap.prepare.dataset import Dataset
from endcap.testing.contracts.models import shop


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shop()


def exact(gram: np.ndarray, spec: SLIM) -> np.ndarray:
    """Solve ``b'(G + l2 I)b / 2 - (c - l1)'b`` over b >= 0 as least squares by its root."""
    out = np.zeros_like(gram)
    for j in range(len(gram)):
        others = np.delete(np.arange(len(gram)), j)
        normal = gram[np.ix_(others, others)] + spec.l2 * np.eye(len(others))
        root = np.linalg.cholesky(normal)
        out[others, j] = nnls(root.T, np.linalg.solve(root, gram[others, j] - spec.l1))[0]
    return out


@pytest.mark.parametrize(
    "settings",
    [
        {"l1": 0.0, "l2": 2.0},
        {"l1": 0.7, "l2": 0.5},
        {"l1": 3.0, "l2": 30.0},
        {"l1": 0.2, "l2": 1.0, "user_norm": 0.5, "item_norm": 0.25, "confidence": "log"},
    ],
)
def test_it_is_the_optimum_over_all_items(data: Dataset, settings: dict[str, object]) -> None:
    spec = SLIM.parse({"tolerance": 1e-9, "sweeps": 5000, "pairs": 1000, **settings})
    model = spec.fit(data)
    x = spec.train_matrix(data).toarray().astype(float)
    x /= np.maximum((x > 0).sum(1, keepdims=True), 1) ** (spec.user_norm / 2)
    x /= np.maximum((x > 0).sum(0), 1) ** spec.item_norm
    x = x[:, model.rows]
    found = model.effects.toarray()
    np.testing.assert_allclose(found, exact(x.T @ x, spec), rtol=1e-3, atol=1e-5)
    assert (found >= 0).all()
    assert (np.diag(found) == 0).all()


def test_more_l1_leaves_fewer(data: Dataset) -> None:
    left = [SLIM(l1=l1, l2=1.0).fit(data).effects.nnz for l1 in (0.0, 0.5, 2.0, 1e6)]
    assert left == sorted(left, reverse=True)
    assert left[0] > left[2] > left[3] == 0


def test_with_pairs_cut_out_no_better_effect_is_left(data: Dataset) -> None:
    """Karush-Kuhn-Tucker on the Gram matrix that is left: no step downhill remains."""
    spec = SLIM(l1=0.3, l2=1.0, pairs=4, tolerance=1e-9, sweeps=5000)
    model = spec.fit(data)
    cosine, lengths = near_gram(data.matrix(None).T.tocsr(), spec.pairs)
    gram = (cosine.toarray() * np.outer(lengths, lengths))[model.rows][:, model.rows]
    effects = model.effects.toarray().astype(float)
    normal = gram + np.diag(lengths[model.rows] ** 2 + spec.l2)
    downhill = gram - spec.l1 - normal @ effects
    near = gram > 0
    assert not effects[~near].any()
    np.testing.assert_allclose(downhill[near & (effects > 0)], 0, atol=1e-3)
    assert (downhill[near & (effects == 0)] < 1e-3).all()

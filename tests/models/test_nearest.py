"""Nearest neighbours against all products, on a catalogue that is cut into several chunks."""

import numpy as np
import pytest
from scipy import sparse

from endcap.models import nearest as module
from endcap.models.nearest import Columns, nearest
from endcap.models.weighting import scale_columns, scale_rows

ITEMS, USERS, K = 700, 300, 5


def takes(seed: int, density: float) -> sparse.csr_array:
    rng = np.random.default_rng(seed)
    taken = rng.random((ITEMS, USERS)) < density
    taken[::50] = False  # nobody takes some
    return sparse.csr_array(taken.astype(np.float32))


def naive(x: np.ndarray, scale: tuple[np.ndarray, np.ndarray, float]) -> np.ndarray:
    left, right, shrink = scale
    s = (x @ x.T) / (np.outer(left, right) + shrink)
    np.fill_diagonal(s, 0)
    s = s.astype(np.float32)
    for i, row in enumerate(s):
        s[i, np.lexsort((np.arange(len(row)), -row))[K:]] = 0
    return s


@pytest.mark.parametrize("density", [0.005, 0.2])
@pytest.mark.parametrize("shrink", [0.0, 3.0])
@pytest.mark.parametrize("short", [1 << 16, 0])
def test_the_nearest_of_ones_are_exact_ties_included(
    density: float, shrink: float, short: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHORT", short)
    columns = takes(1, density)
    ones = np.ones(ITEMS)
    found = nearest(columns, (ones, ones, shrink), K)
    expected = naive(columns.toarray(), (ones, ones, shrink))
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6)
    assert found.has_sorted_indices


def test_factors_of_items_and_users_are_as_good_as_weights() -> None:
    rng = np.random.default_rng(2)
    columns, item, user = takes(3, 0.1), rng.random(ITEMS) + 0.5, rng.random(USERS) + 0.5
    columns.data[:] = 2.0
    weighed = scale_rows(scale_columns(columns, user), item)
    factored = Columns(columns, item, user)
    np.testing.assert_allclose(factored.squares(), Columns(weighed).squares(), rtol=1e-5)
    scale = rng.random(ITEMS) + 1, rng.random(ITEMS) + 1, 0.7
    expected = nearest(weighed, scale, K).toarray()
    np.testing.assert_allclose(nearest(factored, scale, K).toarray(), expected, rtol=1e-5)
    np.testing.assert_allclose(expected, naive(weighed.toarray(), scale), rtol=1e-4)

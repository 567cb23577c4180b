"""The seeded SVD against LAPACK's."""

import numpy as np
import pytest
from scipy import linalg, sparse

from endcap.features.svd import svd


def low_rank(rows=53, columns=31, rank=5, seed=0):
    random = np.random.default_rng(seed)
    dense = random.normal(size=(rows, rank)) @ random.normal(size=(rank, columns))
    dense[:, ::4] = 0
    return sparse.csr_array(dense.astype(np.float32))


def test_it_finds_what_lapack_finds():
    matrix = low_rank()
    found = svd(matrix, 5, 0)
    _, singular, rows = linalg.svd(matrix.toarray())
    assert found.singular == pytest.approx(singular[:5], rel=1e-4)
    assert np.abs(np.sum(found.components * rows[:5], axis=1)) == pytest.approx(
        np.ones(5), abs=1e-4
    )
    assert found.components @ found.components.T == pytest.approx(np.eye(5), abs=1e-4)
    back = found.transform(matrix) @ found.components
    assert back == pytest.approx(matrix.toarray(), abs=1e-3)


def test_it_is_the_same_for_the_same_seed_and_signed():
    one, other = svd(low_rank(), 4, 7), svd(low_rank(), 4, np.random.default_rng(7))
    assert np.array_equal(one.components, other.components)
    assert one.components.dtype == one.singular.dtype == np.float32
    largest = np.abs(one.components).argmax(axis=1)
    assert (one.components[np.arange(4), largest] > 0).all()


def test_it_gives_no_more_than_there_is():
    matrix = low_rank(rows=3)
    found = svd(matrix, 8, 0)
    assert found.components.shape == (3, 31)
    assert svd(sparse.csr_array((4, 6), dtype=np.float32), 2, 0).components.shape[1] == 6

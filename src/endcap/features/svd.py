"""Truncated SVD of a large sparse matrix, the same for the same seed.

Halko, Martinsson, Tropp: Finding structure with randomness (2011), algorithms 4.4 and 5.1.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse
from threadpoolctl import threadpool_limits

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Projection:
    """A linear map from many columns to few.

    Attributes
    ----------
    components
        float32 (dims, n_columns): orthonormal rows, the strongest first.
    singular
        float32 (dims,): singular values, falling.

    Stability: caller.
    """

    components: Floats
    singular: Floats

    def transform(self, rows: sparse.csr_array) -> Floats:
        """Return float32 (n, dims): ``rows @ components.T``."""
        return np.asarray(rows @ self.components.T, dtype=np.float32)


def svd(
    matrix: sparse.csr_array,
    dims: int,
    rng: np.random.Generator | int = 0,
    *,
    oversample: int = 10,
    power: int = 4,
) -> Projection:
    """Return the leading right singular vectors of a sparse matrix.

    Parameters
    ----------
    matrix
        (n_rows, n_columns), any float.
    dims
        How many; fewer come back when the matrix has not so many rows or columns.
    rng
        Seed or generator of the random start. The LAPACK steps run on one thread, so the
        answer does not depend on how many there are.
    oversample, power
        More directions and more passes than needed, for accuracy.
    """
    rng = np.random.default_rng(rng)
    filled = np.flatnonzero(np.bincount(matrix.indices, minlength=matrix.shape[1]))
    dense = matrix[:, filled].astype(np.float32)
    width = min(dims + oversample, *dense.shape)
    with threadpool_limits(1):
        basis = rng.standard_normal((dense.shape[1], width), dtype=np.float32)
        for _ in range(power):
            basis = _orthonormal(dense.T @ _orthonormal(dense @ basis))
        left = _orthonormal(dense @ basis)
        _, singular, rows = linalg.svd((dense.T @ left).T, full_matrices=False)
    kept = min(dims, len(rows))
    components = np.zeros((kept, matrix.shape[1]), np.float32)
    components[:, filled] = _signed(rows[:kept])
    return Projection(components, singular[:kept].astype(np.float32))


def _orthonormal(block: Floats) -> Floats:
    return np.asarray(linalg.qr(block, mode="economic", check_finite=False)[0], dtype=np.float32)


def _signed(rows: Floats) -> Floats:
    """Make the largest entry of each row positive: SVD leaves the sign open."""
    if rows.size == 0:
        return rows
    largest = np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], axis=1)
    return rows * np.sign(largest)

"""The leading singular values of a large sparse matrix, by blocks: thousands of them in minutes.

`features.svd` is exact to the last digits and made for hundreds; here every step is a product of
large float32 blocks, which suits filters that weigh many directions and need none exactly.
"""

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse
from threadpoolctl import threadpool_limits

from endcap.schema.progress import Progress, silent

Floats = npt.NDArray[np.float32]
OVERSAMPLE = 64
FLOOR = 1e-6
"""Directions whose share of the largest (squared) is below this are rounding, and go."""


def leading(
    matrix: sparse.csr_array,
    k: int,
    rng: np.random.Generator | int = 0,
    passes: int = 3,
    progress: Progress = silent,
) -> tuple[Floats, Floats]:
    """Return float32 (k,) singular values, falling, and float32 (n_columns, k) right vectors.

    Randomised subspace iteration (Halko, Martinsson, Tropp 2011, algorithm 4.4) with bases made
    orthonormal by the eigenvectors of their Gram matrix. Fewer than k come back where the rank is
    lower. Memory about four blocks of (rows + columns) x (k + 64) float32. Everything runs on one
    thread, so the answer does not depend on how many there are.
    """
    random = np.random.default_rng(rng)
    back = matrix.T.tocsr()
    width = min(k + OVERSAMPLE, *matrix.shape)
    with threadpool_limits(1):
        basis = random.standard_normal((matrix.shape[1], width), dtype=np.float32)
        for done in range(passes):
            basis = _orthonormal(back @ (matrix @ basis))
            progress(done, passes, "spectrum")
        basis = _orthonormal(basis)  # twice is enough, once is not (Parlett)
        squares, turn = _eigen(matrix @ basis)
    progress(passes, passes, "spectrum")
    kept = squares > FLOOR * squares.max(initial=0)
    values = np.sqrt(squares[kept])[:k].astype(np.float32)
    return values, np.ascontiguousarray(basis @ turn[:, kept][:, :k])


def _orthonormal(block: Floats) -> Floats:
    squares, turn = _eigen(block)
    kept = squares > FLOOR * squares.max(initial=0)
    return block @ np.asarray(turn[:, kept] / np.sqrt(squares[kept]), np.float32)


def _eigen(block: Floats) -> tuple[npt.NDArray[np.float64], Floats]:
    """Return the eigenvalues, falling, and eigenvectors of ``block.T @ block``."""
    if not block.shape[1]:
        return np.empty(0), np.empty((0, 0), np.float32)
    gram = (block.T @ block).astype(np.float64)
    squares, turn = linalg.eigh(gram, check_finite=False, overwrite_a=True, driver="evd")
    return np.maximum(squares[::-1], 0), turn[:, ::-1].astype(np.float32)

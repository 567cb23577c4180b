"""Invert a symmetric positive definite matrix at the speed of matrix multiplication."""

import numpy as np
import numpy.typing as npt

BASE = 256
"""Blocks up to this side are inverted by LAPACK in float64."""


def invert(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Overwrite a float32 SPD matrix with its inverse and return it.

    Recursive Schur complement: nearly all work is in products of large blocks, which run several
    times faster than LAPACK's potri (and np.linalg.inv) on the same matrix.

    Notes
    -----
    With T = A^-1 B and S = D - B^T T the inverse of [[A, B], [B^T, D]] is
    [[A^-1 + T S^-1 T^T, -T S^-1], [., S^-1]].
    Extra memory is at most about one half of the matrix.
    """
    n = len(matrix)
    if n <= BASE:
        if n:
            matrix[:] = np.linalg.inv(matrix.astype(np.float64))
        return matrix
    half = n // 2
    a, b, d = matrix[:half, :half], matrix[:half, half:], matrix[half:, half:]
    invert(a)
    t = a @ b
    d -= b.T @ t
    invert(d)
    np.matmul(t, d, out=b)
    a += b @ t.T
    np.negative(b, out=b)
    matrix[half:, :half] = b.T
    return matrix

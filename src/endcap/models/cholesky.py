"""The Cholesky factor of a small matrix inside a kernel: one for every solver of rows."""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def factor(a, b):  # type: ignore[no-untyped-def]
    """Overwrite the lower half of `a` with its Cholesky factor L and `b` with L^-1 b."""
    for j in range(len(b)):
        for k in range(j):
            for g in range(k):
                a[j, k] -= a[j, g] * a[k, g]
            a[j, k] /= a[k, k]
        for g in range(j):
            a[j, j] -= a[j, g] * a[j, g]
            b[j] -= a[j, g] * b[g]
        a[j, j] = np.sqrt(a[j, j])
        b[j] /= a[j, j]

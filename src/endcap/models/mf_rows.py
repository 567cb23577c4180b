"""The one linear algebra step of matrix factorisation: many small Bayesian ridge regressions."""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.models.cholesky import factor
from endcap.models.parallel import over_blocks

BLOCK = 1024
Floats = npt.NDArray[np.float64]


class Ratings(NamedTuple):
    """Known ratings less their mean, from both sides.

    Attributes
    ----------
    by_user, by_item
        CSR float64, n_users x n_items and its transpose.
    mean, low, high
        Of the ratings as they were given.
    """

    by_user: sparse.csr_array
    by_item: sparse.csr_array
    mean: float
    low: float
    high: float

    @property
    def triplets(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Floats]:
        """(user rows, item rows, ratings less the mean), sorted by user, then item."""
        table = self.by_user.tocoo()
        return table.coords[0].astype(np.int32), table.coords[1].astype(np.int32), table.data


class Prior(NamedTuple):
    """What is believed of a row before its ratings are seen: normal, independent dimensions.

    Attributes
    ----------
    mean
        float64 (n, d + 1); dimension 0 is the bias.
    precision
        float64 (d + 1,).
    per_rating
        Added to the precision for each rating of the row.
    noise
        Precision of a rating.
    """

    mean: Floats
    precision: Floats
    per_rating: float = 0.0
    noise: float = 1.0


def solve_rows(
    ratings: sparse.csr_array, other: Floats, prior: Prior, normals: Floats | None = None
) -> Floats:
    """Return float64 (n, d + 1): bias and factors of each row given those of the other side.

    Parameters
    ----------
    ratings
        CSR float64 (n, m).
    other
        float64 (m, d + 1): bias and factors of the columns.
    prior
        Of the rows.
    normals
        float64 (n, d + 1) of standard normals: draw from the posterior; None returns its mean.
    """
    out = np.zeros((ratings.shape[0], other.shape[1]))
    drawn = out if normals is None else normals
    arrays = (
        ratings.indptr.astype(np.int64),
        ratings.indices.astype(np.int32),
        ratings.data.astype(np.float64),
    )
    belief = (np.ascontiguousarray(prior.mean), prior.precision, prior.per_rating, prior.noise)

    def block(start: int, stop: int) -> None:
        _solve_rows((start, stop), arrays, other, belief, (drawn, out))

    over_blocks(ratings.shape[0], BLOCK, block)
    return out


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _solve_rows(span, ratings, other, belief, result):  # type: ignore[no-untyped-def]
    (indptr, columns, values), (normals, out) = ratings, result
    mean, precision, per_rating, noise = belief
    d = other.shape[1]
    a = np.empty((d, d))
    b = np.empty(d)
    seen = np.empty(d)
    for row in range(span[0], span[1]):
        start, stop = indptr[row], indptr[row + 1]
        for f in range(d):
            a[f, :f] = 0.0
            a[f, f] = precision[f] + per_rating * (stop - start)
            b[f] = a[f, f] * mean[row, f]
        for e in range(start, stop):
            seen[:] = other[columns[e]]
            target = noise * (values[e] - seen[0])
            seen[0] = 1.0
            for f in range(d):
                b[f] += target * seen[f]
                scaled = noise * seen[f]
                for g in range(f + 1):
                    a[f, g] += scaled * seen[g]
        factor(a, b)
        for f in range(d):
            b[f] += normals[row, f]
        for f in range(d - 1, -1, -1):
            b[f] /= a[f, f]
            for g in range(f):
                b[g] -= a[f, g] * b[f]
        for f in range(d):
            out[row, f] = b[f]

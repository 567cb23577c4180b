"""iALS: implicit matrix factorisation by alternating least squares.

Hu, Koren and Volinsky 2008 with what Rendle et al. 2022 (arXiv 2110.14037) found to matter: a
weight for everything unobserved, a ridge that grows with frequency, a small start.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numba
import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.models.base import Answers, Model, Rng
from endcap.models.cholesky import factor
from endcap.models.conjugate import BLOCK, solve_rows, turned
from endcap.models.inner import Product
from endcap.models.parallel import over_blocks
from endcap.models.queries import Queries
from endcap.models.weighting import HistorySpec, parts
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent

Array = npt.NDArray[np.float32]


class IALS(HistorySpec):
    """Factors x of users and y of items that give 1 to what was taken and near 0 to the rest.

    Minimises ``sum_taken alpha c (1 - x.y)^2 + unobserved sum_all (x.y)^2
    + l2 (sum_u n_u^nu |x_u|^2 + sum_i n_i^nu |y_i|^2)`` with
    ``n_u = sum_taken c + unobserved x items`` and likewise ``n_i``. Time for each epoch
    O(nnz d^2 + (users + items) d^3) by Cholesky, O(nnz d steps + (users + items) d^2) with ``cg``.

    Stability: caller.
    """

    contract_skips: ClassVar[Mapping[str, str]] = {
        "renaming_permutes_the_answer": "factors start at random by row number, "
        "so another order of ids is another start"
    }

    factors: int = pydantic.Field(default=64, ge=1)
    epochs: int = pydantic.Field(default=16, ge=1)
    l2: float = pydantic.Field(default=0.003, gt=0)
    frequency: float = pydantic.Field(default=1.0, ge=0, le=1)
    """The exponent nu: 1 lets the ridge grow with how much is known, 0 is the same for all."""
    unobserved: float = pydantic.Field(default=0.1, gt=0)
    """Weight of each pair that was not seen, in units of one that was."""
    alpha: float = pydantic.Field(default=1.0, gt=0)
    """Weight of each unit of confidence."""
    init: float = pydantic.Field(default=0.1, gt=0)
    """Factors start normal with deviation ``init / sqrt(factors)``."""
    solver: Literal["cg", "cholesky"] = "cg"
    """Preconditioned conjugate gradients from the last epoch's factors, or exact."""
    cg_steps: int = pydantic.Field(default=2, ge=1)

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "IALSModel":
        """Alternate between users and items."""
        by_user = _lean(self.train_matrix(data))
        y = np.empty((0, self.factors), np.float32)
        for epoch, (_, items) in enumerate(self.alternate(by_user, rng), start=1):
            y = items
            progress(epoch, self.epochs, "epochs")
        known = np.bincount(by_user.indices, minlength=len(data.items)) > 0
        squares, turn = turned(gram(y))
        return IALSModel(self, data.users, data.items, y @ turn, known, np.diag(squares))

    def alternate(self, by_user: sparse.csr_array, rng: Rng = 0) -> Iterator[tuple[Array, Array]]:
        """Yield the factors of users and items, float32 (n, d), after each epoch.

        The next epoch improves them where they are. Both are turned before each half of it, which
        changes no product, so that their Gram matrix is a diagonal and nothing of their size needs
        to be made.
        """
        random = np.random.default_rng(rng)
        by_user = _lean(by_user)
        by_item = _lean(by_user.T.tocsr())
        scale = self.init / np.sqrt(self.factors)
        x, y = (_normals(random, (n, self.factors), scale) for n in by_user.shape)
        for _ in range(self.epochs):
            x = self.solve(by_user, y, x, _turn(y, x))
            y = self.solve(by_item, x, y, _turn(x, y))
            yield x, y

    def solve(
        self,
        matrix: sparse.csr_array,
        other: Array,
        start: Array | None = None,
        other_gram: Array | None = None,
    ) -> Array:
        """Return the factors of the rows of `matrix` that fit the factors `other` of its columns.

        Parameters
        ----------
        matrix
            CSR float32 (n, m): confidences.
        other
            float32 (m, d).
        start
            float32 (n, d): where conjugate gradients start, which they overwrite; None goes on
            until they converge.
        other_gram
            float32 (d, d): ``other.T @ other`` where it is known.
        """
        base = np.float32(self.unobserved) * (gram(other) if other_gram is None else other_gram)
        weights = matrix if self.alpha == 1 else matrix * np.float32(self.alpha)
        normal = base, self._ridge(weights)
        if self.solver == "cg":
            steps = 0 if start is None else self.cg_steps
            return solve_rows(parts(weights, weights.data.dtype), other, normal, start, steps)
        arrays = parts(weights)
        out = np.zeros((matrix.shape[0], other.shape[1]), np.float32)

        def block(first: int, last: int) -> None:
            _cholesky((first, last), arrays, other, normal, out)

        over_blocks(matrix.shape[0], BLOCK, block)
        return out

    def _ridge(self, weights: sparse.csr_array) -> Array:
        # SciPy would sum bytes, which are all ones, by eight bytes each.
        ones = weights.data.dtype == np.int8
        seen = np.diff(weights.indptr) if ones else weights.sum(axis=1)
        taken = np.asarray(seen, np.float64) + self.unobserved * weights.shape[1]
        return np.asarray(self.l2 * taken**self.frequency, np.float32)


def _lean(matrix: sparse.csr_array) -> sparse.csr_array:
    """Return `matrix` with one byte for all of its weights where each is 1."""
    if not (matrix.nnz and (matrix.data == 1).all()):
        return matrix
    out = sparse.csr_array(matrix.shape, dtype=np.int8)
    out.indptr, out.indices = matrix.indptr, matrix.indices
    out.data = np.broadcast_to(np.int8(1), matrix.nnz)
    return out


def _normals(random: np.random.Generator, shape: tuple[int, int], scale: float) -> Array:
    """Return float32 normals, drawn a block of rows at a time: float64 would need twice more."""
    out = np.empty(shape, np.float32)
    for start in range(0, len(out), BLOCK):
        part = out[start : start + BLOCK]
        part[:] = random.standard_normal(part.shape) * scale
    return out


def _turn(factors: Array, others: Array) -> Array:
    """Turn both in place into the axes of the former; return its Gram matrix, a diagonal."""
    squares, turn = turned(gram(factors))
    for array in (factors, others):
        for start in range(0, len(array), BLOCK):
            part = array[start : start + BLOCK]
            part[:] = part @ turn
    return np.diag(squares)


def gram(factors: Array) -> Array:
    """Return ``factors.T @ factors``, float32 (d, d)."""
    product: Array = factors.T @ factors
    return product


@dataclass(frozen=True)
class IALSModel(Model):
    """Item factors; a shopper's factors are solved for from their history at every question.

    Attributes
    ----------
    item_factors
        float32 (n_items, d), turned so that their Gram matrix is diagonal: a question is then
        answered without touching the factors of items outside its history.
    known
        bool (n_items,): items that were taken; the others cannot be judged.
    item_gram
        float32 (d, d): ``item_factors.T @ item_factors``, diagonal.
    """

    answers: ClassVar[Answers] = Answers(explains=True)

    spec: IALS
    item_factors: Array
    known: npt.NDArray[np.bool_]
    item_gram: Array

    def factors_of(self, queries: Queries) -> Array:
        """Return float32 (n, d): the factors that fit each history, 0 where there is none."""
        weighed = replace(queries, weights=self.spec.event_weights(queries))
        matrix = weighed.matrix(len(self.items))
        return self.spec.solve(matrix, self.item_factors, other_gram=self.item_gram)

    def scores(self, queries: Queries) -> Array:
        """Return ``x.y``; NaN for items nobody took and for histories of no known item."""
        x = self.factors_of(queries)
        out = np.asarray(x @ self.item_factors.T)
        out[:, self._unknown] = np.nan
        out[~x.any(axis=1)] = np.nan
        return out

    def product(self, queries: Queries) -> Product:
        """See `Model.product`."""
        x = self.factors_of(queries)
        x[~x.any(axis=1)] = np.nan
        return Product(x, self.item_factors, self.known)

    @cached_property
    def _unknown(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(~self.known)

    def contributions(self, query: Queries, items: npt.NDArray[np.int32]) -> Array:
        """Return float32 (len(items), len(query.items)) by Hu et al. 2008, section 5.

        ``y_j^T W w_e y_e`` with W the inverse of the shopper's own normal equations.
        """
        y = self.item_factors
        weights = self.spec.alpha * self.spec.event_weights(query).astype(np.float64)
        past = np.where(query.items[:, None] >= 0, y[query.items], 0).astype(np.float64)
        taken = weights.sum() + self.spec.unobserved * len(self.items)
        normal = self.spec.unobserved * self.item_gram + (past.T * weights) @ past
        normal[np.diag_indices(len(normal))] += self.spec.l2 * taken**self.spec.frequency
        return ((y[items].astype(np.float64) @ np.linalg.solve(normal, past.T)) * weights).astype(
            np.float32
        )

    def left_out(
        self, query: Queries, items: npt.NDArray[np.int32], groups: npt.NDArray[np.int64], n: int
    ) -> Array:
        """See `Model.left_out`: only the items asked for are scored."""
        x = self.factors_of(query.leaving_out(groups, n))
        out = x @ self.item_factors[items].T
        out[:, ~self.known[items]] = np.nan
        return np.asarray(out)


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _cholesky(span, matrix, y, normal, x):  # type: ignore[no-untyped-def]
    """Solve a span of rows of `x` exactly, in place."""
    (first, last), (indptr, columns, weights), (base, ridge) = span, matrix, normal
    d = y.shape[1]
    matrix = np.empty((d, d), np.float64)
    right = np.empty(d, np.float64)
    for row in range(first, last):
        a, b = indptr[row], indptr[row + 1]
        right[:] = 0
        if a == b:
            x[row] = 0
            continue
        for f in range(d):
            for g in range(f + 1):
                matrix[f, g] = base[f, g]
            matrix[f, f] += ridge[row]
        for i in range(a, b):
            near, w = y[columns[i]], weights[i]
            for f in range(d):
                scaled = w * near[f]
                right[f] += scaled
                for g in range(f + 1):
                    matrix[f, g] += scaled * near[g]
        _solve(matrix, right)
        for f in range(d):
            x[row, f] = right[f]


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _solve(a, b):  # type: ignore[no-untyped-def]
    """Solve ``a z = b`` in place for a symmetric positive definite `a` given by its lower half."""
    factor(a, b)
    for j in range(len(b) - 1, -1, -1):
        b[j] /= a[j, j]
        for g in range(j):
            b[g] -= a[j, g] * b[j]

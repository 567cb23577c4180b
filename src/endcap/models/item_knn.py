"""ItemKNN: who took this also took that (Sarwar et al. 2001; BM25 weights as in text search)."""

from typing import Literal

import numpy as np
import pydantic
from scipy import sparse

from endcap.models.base import Model, Rng
from endcap.models.linear import LinearModel
from endcap.models.nearest import Columns, nearest
from endcap.models.weighting import HistorySpec, bm25, bm25_once, idf, power, scale_rows, tf_idf
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent


class ItemKNN(HistorySpec):
    """Each past item speaks for its nearest neighbours.

    ``s(i, j) = x_i . x_j / (|x_i|^2a |x_j|^(2 - 2a) + shrink)`` with a = `source_norm`, over the
    weighed columns x of the users x items matrix. Time O(sum over users of items^2), memory
    O(items x neighbours): no items x items matrix exists at any time.

    Stability: caller.
    """

    neighbours: int = pydantic.Field(default=100, ge=1)
    """Neighbours kept for each item."""
    weighting: Literal["none", "tf-idf", "bm25"] = "none"
    """How a user's interest in an item is weighed before items are compared."""
    similarity: Literal["cosine", "dot"] = "cosine"
    """``dot`` leaves the lengths in; it suits ``bm25``, which has damped them already."""
    source_norm: float = pydantic.Field(default=0.5, ge=0, le=1)
    """0.5 is the cosine; lower favours rare neighbours, higher popular ones."""
    shrink: float = pydantic.Field(default=0.0, ge=0)
    """Added to the denominator: doubts similarities that rest on few people."""
    normalise: bool = False
    """Let the neighbours of each item share a total of 1."""
    k1: float = pydantic.Field(default=1.2, gt=0)
    """BM25: how soon repetition stops to count."""
    b: float = pydantic.Field(default=0.75, ge=0, le=1)
    """BM25: how much heavy users are discounted."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> Model:
        """Find each item's neighbours; `rng` is not used."""
        similar = self.similarities(self.train_matrix(data), progress)
        rows = np.arange(len(data.items), dtype=np.int32)
        return LinearModel(self, data.users, data.items, rows, similar)

    def similarities(
        self, matrix: sparse.csr_array, progress: Progress = silent
    ) -> sparse.csr_array:
        """Return CSR float32 (items, items): each item's neighbours in users x items."""
        similar = self._nearest(self._weigh(matrix.T.tocsr()), progress)
        if self.normalise:
            similar = scale_rows(similar, power(similar.sum(axis=1), -1.0))
        return similar

    def _weigh(self, columns: sparse.csr_array) -> Columns:
        """Weigh items as documents whose words are the users who took them."""
        if self.weighting == "none":
            return Columns(columns)
        if (columns.data == 1).all():  # then every weight is a product of two
            rarity = idf(columns)
            if self.weighting == "tf-idf":
                return Columns(columns, user=rarity)
            return Columns(columns, item=bm25_once(columns, self.k1, self.b), user=rarity)
        return Columns(
            bm25(columns, self.k1, self.b) if self.weighting == "bm25" else tf_idf(columns)
        )

    def _nearest(self, columns: Columns, progress: Progress) -> sparse.csr_array:
        lengths = np.sqrt(columns.squares())
        exponent = 2 * self.source_norm if self.similarity == "cosine" else 0.0
        left = power(lengths, exponent)
        right = power(lengths, 2 - exponent if self.similarity == "cosine" else 0.0)
        return nearest(columns, (left, right, self.shrink), self.neighbours, progress)

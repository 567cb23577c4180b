"""Substitutes: what stands in the same place among other things."""

import numpy as np
import pydantic
from scipy import sparse

from endcap.models.base import Rng
from endcap.models.linear import LinearModel
from endcap.models.nearest import nearest
from endcap.models.together import Together
from endcap.models.weighting import power, row_squares, rows_of
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent


class Substitutes(Together):
    """Items are alike that are taken with the same other things, and by the same people.

    Each item is described by what it goes with: positive pointwise mutual information of baskets
    (Levy and Goldberg 2014), with its `context` strongest companions, beside the people who took
    it. The similarity of two items is the cosine of these; how often the two are in one basket does
    not count for it: two sofas stand beside the same cushions and hardly ever in one cart. Where
    there are visits, `kinds` view and click give a sharper picture. Time O(baskets x items of
    each^2), memory O(items x (context + people)).

    Stability: caller.
    """

    context: int = pydantic.Field(default=60, ge=1)
    """Companions that describe an item."""
    people: float = pydantic.Field(default=0.3, ge=0, le=1)
    """The share of the people in a description; the rest is for companions."""
    least: int = pydantic.Field(default=5, ge=1)
    """Baskets that an item needs to be described."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> LinearModel:
        """Describe and compare; `rng` is not used."""
        described = self.describe(data)
        ones = np.ones(len(data.items))
        similar = nearest(described, (ones, ones, 0.0), self.neighbours, progress)
        rows = np.arange(len(data.items), dtype=np.int32)
        return LinearModel(self, data.users, data.items, rows, similar)

    def describe(self, data: Dataset) -> sparse.csr_array:
        """Return CSR float32 (items, items + people), rows of length 1: what each stands among."""
        baskets = self.baskets(data)
        columns = baskets.T.tocsr()
        counts = np.diff(columns.indptr)
        total = float((baskets.data**2).sum())
        worth = row_squares(columns)
        with_ = nearest(columns, (power(worth, 0.5), power(worth, 0.5), 0.0), self.context)
        pairs = with_.data * np.sqrt(worth[rows_of(with_)] * worth[with_.indices])
        lift = pairs * total / np.maximum(worth[rows_of(with_)] * worth[with_.indices], 1e-12)
        with_.data = np.maximum(np.log(np.maximum(lift, 1e-12)), 0).astype(np.float32)
        with_.data[counts[rows_of(with_)] < self.least] = 0
        companions = _unit(with_, 1 - self.people)
        takers = self.heard(data).matrix(None).T.tocsr()
        sizes = np.maximum(np.bincount(takers.indices, minlength=takers.shape[1]), 1)
        takers.data = (takers.data / np.sqrt(sizes)[takers.indices]).astype(np.float32)
        takers.data[counts[rows_of(takers)] < self.least] = 0
        out = sparse.hstack([companions, _unit(takers, self.people)], format="csr")
        out.eliminate_zeros()
        return sparse.csr_array(out.astype(np.float32))


def _unit(matrix: sparse.csr_array, share: float) -> sparse.csr_array:
    lengths = np.sqrt(row_squares(matrix))
    scale = np.sqrt(share) / np.where(lengths > 0, lengths, 1.0)
    data = (matrix.data * scale[rows_of(matrix)]).astype(np.float32)
    return sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)

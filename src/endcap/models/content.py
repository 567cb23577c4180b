"""Content: items like the ones in the history, by what the catalogue says of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.features.descriptions import FIELDS, DescriptionSpec, Field, fit_descriptions
from endcap.features.svd import svd
from endcap.features.text import TextSpec
from endcap.models.base import Answers, Rng
from endcap.models.inner import Product
from endcap.models.linear import SummedModel
from endcap.models.queries import Queries
from endcap.models.weighting import HistorySpec
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent

Array = npt.NDArray[np.float32]


class Content(HistorySpec):
    """Compare items by title, description, categories, brand and price.

    TF-IDF over words and character n-grams (so that Chinese works too) beside a block for
    categories with their parents, brand and half-octave of the price, reduced by an SVD. The
    profile of a shopper is the weighed mean of the vectors in the history, the score a dot product.
    Items nobody has touched are answered like any other. Time O(text + nnz d), memory items x d.

    With ``dimensions = 0`` nothing is reduced: vectors stay sparse, cosines are exact, and rare
    words (a model's name, a scent) keep their full weight, which an SVD takes from them.

    Stability: caller.
    """

    dimensions: int = pydantic.Field(default=256, ge=0)
    """Kept by the SVD; more tells fine differences apart. 0 keeps the sparse vectors whole."""
    text_share: float = pydantic.Field(default=0.7, ge=0, le=1)
    """Share of a similarity that comes from text; the rest from category, brand and price."""
    fields: tuple[Field, ...] = pydantic.Field(default=FIELDS, min_length=1)
    """What is read as text."""
    text: TextSpec = TextSpec(bits=17)

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "ContentModel":
        """Read the catalogue; who took what does not matter here."""
        table = data.item_table
        progress(0, 2, "text")
        described = DescriptionSpec(text_share=self.text_share, fields=self.fields, text=self.text)
        blocks = fit_descriptions(table, described).transform(table)
        progress(1, 2, "vectors")
        vectors: Array | sparse.csr_array = blocks
        if self.dimensions:
            vectors = _unit(svd(blocks, self.dimensions, rng).transform(blocks))
        progress(2, 2)
        return ContentModel(self, data.users, data.items, vectors)


@dataclass(frozen=True)
class ContentModel(SummedModel):
    """A vector for each item.

    Attributes
    ----------
    vectors
        float32 (n_items, d), dense or CSR, of length 1; 0 for an item of which the catalogue says
        nothing.
    """

    answers: ClassVar[Answers] = Answers(warm_items=True, explains=True)

    spec: Content
    vectors: Array | sparse.csr_array

    def scores(self, queries: Queries) -> Array:
        """Return the mean cosine to the history; NaN where nothing is known to compare."""
        profile = self._profile(queries)
        taste = profile @ self.vectors
        out = taste @ self._by_feature
        if isinstance(out, sparse.csr_array):
            out = out.toarray()
        out[:, ~self._described] = np.nan
        out[profile @ self._described.astype(np.float32) <= 0] = np.nan
        return np.asarray(out)

    def product(self, queries: Queries) -> Product | None:
        """See `Model.product`: what the mean of the history's vectors looks at; None if sparse."""
        if isinstance(self.vectors, sparse.csr_array):
            return None
        profile = self._profile(queries)
        taste = np.asarray(profile @ self.vectors, np.float32)
        taste[profile.sum(axis=1) <= 0] = np.nan
        return Product(taste, self.vectors, self._described)

    def _profile(self, queries: Queries) -> sparse.csr_array:
        rows = np.maximum(queries.items, 0)
        shape = len(queries), len(self.items)
        return sparse.csr_array((self.weigh(queries), rows, queries.indptr), shape=shape)

    def units(self, query: Queries, items: npt.NDArray[np.int32]) -> Array:
        """Return float32 (len(items), len(query.items)): the cosine with each past event."""
        shares = self.vectors[items] @ self.vectors[np.maximum(query.items, 0)].T
        dense = shares.toarray() if isinstance(shares, sparse.sparray) else shares
        return np.asarray(dense, np.float32)

    @cached_property
    def _by_feature(self) -> Array | sparse.csr_array:
        """The vectors the other way round: for each feature, the items that have it."""
        turned = self.vectors.T
        return turned.tocsr() if isinstance(turned, sparse.sparray) else turned

    @cached_property
    def _described(self) -> npt.NDArray[np.bool_]:
        if isinstance(self.vectors, sparse.csr_array):
            return np.asarray(np.diff(self.vectors.indptr) > 0)
        return np.asarray(self.vectors.any(axis=1))

    def weigh(self, queries: Queries) -> Array:
        """Return float32 (h,): the weights in the mean, which sum to 1."""
        weights = self.spec.event_weights(queries)
        described = np.append(self._described, False)[queries.items]
        weights = np.where(described, weights, np.float32(0))
        total = np.bincount(queries.query_of, weights, len(queries))
        return np.asarray(weights / np.where(total > 0, total, 1)[queries.query_of], np.float32)


def _unit(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)

"""FM: a factorisation machine for stars that reads who, what, and what is known of both."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pydantic
from scipy import sparse

from endcap.features.descriptions import DescriptionSpec, fit_descriptions
from endcap.features.labels import attribute_labels
from endcap.features.svd import svd
from endcap.features.text import TextSpec
from endcap.models.base import Answers, Rng
from endcap.models.biased_mf import BiasedMFModel, StarSpec, ratings_of
from endcap.models.mf_gibbs import gibbs
from endcap.models.mf_rows import Floats
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent


class FM(StarSpec):
    """Predict stars by ``w0 + sum_f w_f x_f + sum_{f<g} v_f.v_g x_f x_g`` (Rendle 2010, eq. 1).

    The variables x are the user, the items they rated at all, and the user's attributes; the
    item, the users who rated it, and what the catalogue says of it. Terms within one side depend
    on that side alone and are its bias, so the sum is ``mean + b_u + b_i + p_u.q_i`` with ``p_u =
    v_u + sum v_f x_f`` over the user's variables, and likewise b_u, b_i and q_i. The chain (as
    libFM's MCMC: Rendle 2012, table 2) draws ``p_u`` whole given the rest and then the v_f given
    all p_u, block by block, each with a precision of its own, which mixes faster than variable by
    variable. Attributes are reduced by an SVD. Time for each sweep O(ratings factors^2 + (users +
    items) (factors^3 + attributes factors)), memory (users + items) x factors x `samples`.

    Stability: caller.
    """

    contract_skips: ClassVar[Mapping[str, str]] = {
        "renaming_permutes_the_answer": "starts and draws are random by row number, "
        "so another order of ids is another chain"
    }

    factors: int = pydantic.Field(default=12, ge=1)
    sweeps: int = pydantic.Field(default=300, ge=2)
    burn_in: float = pydantic.Field(default=0.15, ge=0, lt=1)
    """Share of the chain that is dropped at its start."""
    samples: int = pydantic.Field(default=60, ge=1)
    """Draws that are kept and averaged."""
    side_features: int = pydantic.Field(default=64, ge=0)
    """Directions of who-rated-what."""
    user_attributes: int = pydantic.Field(default=32, ge=0)
    """Directions of what is known of users; 0 reads nothing."""
    item_attributes: int = pydantic.Field(default=32, ge=0)
    """Directions of what the catalogue says of items; 0 reads nothing."""
    text_share: float = pydantic.Field(default=0.3, ge=0, le=1)
    """Share of the words beside category, brand and price."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "FMModel":
        """Learn from the interactions that carry a `value`.

        Raises
        ------
        DataError
            When there are interactions, but no rating among them.
        """
        ratings = ratings_of(data)
        random = np.random.default_rng(rng)
        said_of_items = self._said(data.item_table)
        attributes = (
            directions(attribute_labels(data.user_table["attributes"]), self.user_attributes),
            directions(said_of_items, self.item_attributes),
        )
        schedule = (self.sweeps, int(self.burn_in * self.sweeps), self.samples)
        shape = (self.factors, self.side_features)
        chain = gibbs(ratings, shape, schedule, random, progress, attributes=attributes)
        model = FMModel.of_chain((self, data, ratings), chain)
        described = np.diff(said_of_items.indptr) > 0
        return replace(model, known=model.known | described & (self.item_attributes > 0))

    def _said(self, table: pa.Table) -> sparse.csr_array:
        words = TextSpec(bits=17, ngram_share=0.0)
        encoder = fit_descriptions(table, DescriptionSpec(text_share=self.text_share, text=words))
        blocks = [encoder.transform(table), attribute_labels(table["attributes"])]
        return sparse.csr_array(sparse.hstack(blocks, "csr"))


def directions(rows: sparse.csr_array, k: int) -> Floats:
    """Return float64 (n, <= k): the strongest directions of the rows, orthogonal columns."""
    if not k or not rows.nnz:
        return np.zeros((rows.shape[0], 0))
    lengths = np.sqrt(np.asarray((rows * rows).sum(axis=1)))
    unit = sparse.csr_array(rows / np.where(lengths > 0, lengths, 1)[:, None])
    found = svd(unit, k).transform(unit).astype(np.float64)
    return np.asarray(found @ np.linalg.eigh(found.T @ found)[1])


@dataclass(frozen=True)
class FMModel(BiasedMFModel):
    """Biases and factors of a factorisation machine, the attributes summed in.

    A stranger is answered by their ratings and by which items those are of; an item nobody rated
    by what the catalogue says of it.
    """

    answers: ClassVar[Answers] = Answers(empty=True, ratings=True, warm_items=True)

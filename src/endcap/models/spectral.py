"""A filter on the spectrum of the item graph: EASE's or GF-CF's, for catalogues of any size.

Shen et al., How powerful is graph convolution for recommendation?, CIKM 2021 (GF-CF); the ridge is
the spectrum of Steck's EASE without its zero diagonal; normalisation as in Park et al. 2025
(arXiv 2504.05805).
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.features.spectrum import leading
from endcap.models.base import Answers, Rng
from endcap.models.linear import SummedModel
from endcap.models.queries import Queries
from endcap.models.weighting import HistorySpec, power, scale_columns, scale_rows
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent

Array = npt.NDArray[np.float32]


class Spectral(HistorySpec):
    """Keep of a history what the strongest patterns of the item graph can say of it.

    With ``R = D_u^(-user_norm / 2) X D_i^(-item_norm)``, its right singular vectors W and singular
    values s, the score of a history x is
    ``x D_i^-source W f(s) W^T D_i^target + linear x R^T R``. GF-CF is ``filter = "ideal"``,
    ``source = target = 0.5`` and ``linear = 1 / alpha``. Time O((nnz + users factors +
    items factors) factors passes), memory O((users + items) factors); answering O(items factors).

    Stability: caller.
    """

    factors: int = pydantic.Field(default=512, ge=1)
    """Patterns kept, the strongest; more tell neighbours finer apart."""
    filter: Literal["ridge", "ideal"] = "ridge"
    """``ridge``: f = s^2 / (s^2 + ridge); ``ideal``: f = 1 for all that are kept."""
    ridge: float = pydantic.Field(default=0.05, gt=0)
    """Where patterns begin to fade, in units of the strongest one's s^2."""
    linear: float = pydantic.Field(default=0.0, ge=0)
    """Weight of the graph itself, which knows the pairs that no strong pattern holds."""
    user_norm: float = pydantic.Field(default=1.0, ge=0, le=2)
    """Weigh a user by (number of their items) ** -this: heavy users count less."""
    item_norm: float = pydantic.Field(default=0.5, ge=0, le=1)
    """Divide an item's column by (number of its users) ** this."""
    source: float = pydantic.Field(default=0.0, ge=-1, le=1)
    """Divide a past item by (number of its users) ** this before it is filtered."""
    target: float = pydantic.Field(default=0.4, ge=-1, le=1)
    """Multiply filtered scores by (number of the item's users) ** this."""
    passes: int = pydantic.Field(default=3, ge=1)
    """Rounds of the randomised decomposition; three are enough for ranking."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "SpectralModel":
        """Decompose; the seed starts the randomised method."""
        taken = self.train_matrix(data)
        users = np.bincount(taken.indices, minlength=len(data.items))
        graph = scale_rows(taken, power(np.diff(taken.indptr), -self.user_norm / 2))
        graph = scale_columns(graph, power(users, -self.item_norm))
        values, vectors = leading(graph, self.factors, rng, self.passes, progress)
        vectors *= np.sqrt(self.gains(values))
        known = users > 0
        return SpectralModel(
            self,
            data.users,
            data.items,
            basis=vectors,
            source=np.asarray(power(users, -self.source) * known, np.float32),
            target=np.asarray(power(users, self.target) * known, np.float32),
            graph=graph if self.linear else sparse.csr_array(graph.shape, dtype=np.float32),
        )

    def gains(self, values: Array) -> Array:
        """Return float32 (k,): the filter at falling singular values."""
        if self.filter == "ideal":
            return np.ones_like(values)
        squares = (values / values[:1]) ** 2
        return np.asarray(squares / (squares + np.float32(self.ridge)), np.float32)


@dataclass(frozen=True)
class SpectralModel(SummedModel):
    """Filtered vectors of the items.

    Attributes
    ----------
    basis
        float32 (n_items, k): singular vectors, each times the root of its gain.
    source, target
        float32 (n_items,): factors of past items and of scores; 0 for items nobody took.
    graph
        CSR float32 (n_users, n_items): R where the linear part counts, else empty.
    """

    answers: ClassVar[Answers] = Answers(explains=True)

    spec: Spectral
    basis: Array
    source: Array
    target: Array
    graph: sparse.csr_array

    def scores(self, queries: Queries) -> Array:
        """Return filtered histories; NaN for items nobody took and histories without any other."""
        weighed = replace(queries, weights=self.spec.event_weights(queries))
        profile = weighed.matrix(len(self.items))
        out: Array = (scale_columns(profile, self.source) @ self.basis) @ self.basis.T
        out *= self.target
        if self.spec.linear:
            walks = np.float32(self.spec.linear) * (profile @ self.graph.T) @ self.graph
            out[:, :] += walks.toarray()
        out[:, self.target == 0] = np.nan
        out[profile @ self.source == 0] = np.nan
        return out

    def units(self, query: Queries, items: npt.NDArray[np.int32]) -> Array:
        """Return float32 (len(items), len(query.items)): what an event of weight 1 adds."""
        past = np.maximum(query.items, 0)
        shares = (self.basis[items] * self.target[items, None]) @ self.basis[past].T
        shares *= self.source[past]
        if self.spec.linear:
            walks = self.graph[:, items].T @ self.graph[:, past]
            shares += np.float32(self.spec.linear) * walks.toarray()
        return np.asarray(np.where(query.items >= 0, shares, 0), np.float32)

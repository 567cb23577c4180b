"""UserKNN: what people like you took (Resnick et al. 1994, for implicit feedback)."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.models.base import Answers, Model, Rng
from endcap.models.queries import Queries
from endcap.models.topk import top_of_rows
from endcap.models.weighting import HistorySpec, idf, power, row_squares, rows_of, scale_columns
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent


class UserKNN(HistorySpec):
    """Seek the training users whose histories are nearest to the query's, and add up theirs.

    Score of item j: ``d_j^popularity`` x the sum over the nearest users v of
    ``cos(history, x_v)^sharpness x x_vj``, with d_j the users of j. A stranger is compared like
    anybody else. Fitting only weighs; answering costs O(sum over the history of the
    items' users), so this suits up to about a million interactions.

    Stability: caller.
    """

    neighbours: int = pydantic.Field(default=200, ge=1)
    """Users who are asked."""
    weighting: Literal["none", "idf"] = "idf"
    """``idf`` compares people by what is rare: a bestseller tells little about taste."""
    shrink: float = pydantic.Field(default=0.0, ge=0)
    """Added to the product of the lengths: doubts those who share little."""
    sharpness: float = pydantic.Field(default=1.0, ge=1)
    """Similarities are raised to this: above 1 the nearest speak louder than the many."""
    popularity: float = pydantic.Field(default=0.0, ge=-1, le=1)
    """Multiply scores by (number of the item's users) ** this: below 0 holds bestsellers back."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "UserKNNModel":
        """Weigh the training histories; `rng` is not used."""
        taken = self.train_matrix(data)
        column = np.sqrt(idf(taken)) if self.weighting == "idf" else np.ones(taken.shape[1])
        people = scale_columns(taken, column)
        lengths = _lengths(people)
        users = np.bincount(taken.indices, minlength=taken.shape[1])
        brought = scale_columns(taken, power(users, self.popularity))
        progress(1, 1, "weights")
        return UserKNNModel(
            self, data.users, data.items, brought, people, lengths, column.astype(np.float32)
        )


@dataclass(frozen=True)
class UserKNNModel(Model):
    """The training histories.

    Attributes
    ----------
    taken
        CSR float32 (n_users, n_items): what each training user brings, times ``d_j^popularity``.
    people
        CSR float32, same shape: by what they are compared.
    lengths
        float32 (n_users,): Euclidean lengths of the rows of `people`.
    column
        float32 (n_items,): weight of each item in comparisons.
    """

    answers: ClassVar[Answers] = Answers(explains=True)

    spec: UserKNN
    taken: sparse.csr_array
    people: sparse.csr_array
    lengths: npt.NDArray[np.float32]
    column: npt.NDArray[np.float32]

    def nearest(self, queries: Queries) -> sparse.csr_array:
        """Return CSR float32 (n, n_users): similarity to the nearest training users."""
        profile = self._profile(queries)
        shared = (profile @ self.people.T).tocsr()
        shared.sort_indices()
        sides = _lengths(profile)[rows_of(shared)] * self.lengths[shared.indices]
        near = sparse.csr_array(
            (shared.data / (sides + np.float32(self.spec.shrink)), shared.indices, shared.indptr),
            shape=shared.shape,
        )
        return top_of_rows(near, self.spec.neighbours)

    def scores(self, queries: Queries) -> npt.NDArray[np.float32]:
        """Return what the nearest users took; NaN for items none of them touched."""
        voices = self.nearest(queries)
        voices.data **= np.float32(self.spec.sharpness)
        spoken = (voices @ self.taken).tocsr()
        out = np.full((len(queries), len(self.items)), np.nan, np.float32)
        out[rows_of(spoken), spoken.indices] = spoken.data
        return out

    def contributions(
        self, query: Queries, items: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Return float32 (len(items), len(query.items)): each event's share, neighbours fixed."""
        near = self.nearest(query)
        voters = near.indices
        length = _lengths(self._profile(query))
        voice = 1 / (length * self.lengths[voters] + np.float32(self.spec.shrink))
        voice *= near.data ** np.float32(self.spec.sharpness - 1)
        weights = self.spec.event_weights(query) * self.column[query.items]
        compared = self.people[voters][:, np.maximum(query.items, 0)].toarray() * weights
        brought = self.taken[voters][:, items].toarray()
        shares: npt.NDArray[np.float32] = (brought.T * voice) @ compared
        return shares.astype(np.float32)

    def _profile(self, queries: Queries) -> sparse.csr_array:
        weighed = replace(queries, weights=self.spec.event_weights(queries))
        return scale_columns(weighed.matrix(len(self.items)), self.column)


def _lengths(matrix: sparse.csr_array) -> npt.NDArray[np.float32]:
    squares = row_squares(matrix)
    return np.asarray(np.sqrt(squares), np.float32)

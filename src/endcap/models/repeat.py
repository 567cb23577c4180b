"""Repeat: what you buy again, and what like shoppers buy (TIFU-kNN, Hu et al. 2020)."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.models.base import Answers, Model, Rng, Spec
from endcap.models.queries import Queries
from endcap.models.topk import top_of_rows
from endcap.models.weighting import idf, row_squares, rows_of, scale_columns, scale_rows
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent

MINUTE_US = 60_000_000
DOUBT = 5.0
"""Baskets at the average rate that each item is granted before its own are counted."""


class Repeat(Spec):
    """Personal item frequencies that fade, those of the nearest shoppers, and the newest baskets.

    Baskets are counted from the newest, in groups of `group`: within group g the basket of place
    p weighs ``within_decay ** p``, the group ``group_decay ** g``, and means are taken within
    and over groups (Hu et al. 2020, arXiv 2006.00556, equations 1-2). With u the vector of the
    history, v those of the nearest shoppers, s their similarity and p the share of shoppers who
    have an item in their newest basket::

        score = (own u + (1 - own) sum(s v) / sum(s) + popular p) x r ** rebuy

    where r is how often an item is bought again beside the average: the share of the baskets
    after a shopper's first with the item that hold it too (milk is, a rice cooker is not). The
    neighbours are found by the cosine of vectors weighed with ``idf`` and voice it,
    where the paper takes the plain mean of the Euclidean nearest: so reasons are exact. Ask it
    with repeats allowed. Fitting only weighs; answering costs O(sum over the history of the
    items' shoppers), which suits up to about a million events. Memory: two copies of the events.

    Stability: caller.
    """

    within_decay: float = pydantic.Field(default=0.9, gt=0, le=1)
    """What a basket counts beside the next newer one of its group."""
    group_decay: float = pydantic.Field(default=0.9, gt=0, le=1)
    """What a group of baskets counts beside the next newer one."""
    group: int = pydantic.Field(default=1, ge=1)
    """Baskets in a group; the oldest group may hold fewer."""
    gap_minutes: float = pydantic.Field(default=0.0, ge=0)
    """Events of a shopper that are no further apart belong to one basket; 0: equal times."""
    neighbours: int = pydantic.Field(default=300, ge=1)
    """Shoppers who are asked."""
    own: float = pydantic.Field(default=0.3, ge=0, le=1)
    """The share of the history itself; the rest is for the neighbours."""
    popular: float = pydantic.Field(default=0.5, ge=0)
    """The voice of everybody's newest baskets."""
    rebuy: float = pydantic.Field(default=0.7, ge=0)
    """How much it counts that an item is one that people buy again."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "RepeatModel":
        """Weigh the training baskets; `rng` is not used."""
        histories = Queries.of_users(data, np.arange(len(data.users)))
        ages = self.ages(histories)
        vectors = _vectors(histories, self.event_weights(histories), len(data.items))
        column = idf(vectors)
        people = scale_columns(vectors, column)
        people = scale_rows(people, _inverse(_lengths(people)))
        newest = _vectors(histories, (ages == 0).astype(np.float32), len(data.items))
        shoppers = max(1, int((np.diff(histories.indptr) > 0).sum()))
        taken = np.bincount(vectors.indices, minlength=len(data.items)) > 0
        share = np.bincount(newest.indices[newest.data > 0], minlength=len(taken)) / shoppers
        progress(1, 1, "baskets")
        return RepeatModel(
            self,
            data.users,
            data.items,
            vectors,
            people,
            column.astype(np.float32),
            np.where(taken, share, np.nan).astype(np.float32),
            (_rebought(histories, ages, len(data.items)) ** self.rebuy).astype(np.float32),
        )

    def ages(self, queries: Queries) -> npt.NDArray[np.int64]:
        """Return int64 (h,): how many newer baskets each past event has behind it."""
        if not len(queries.items):
            return np.empty(0, np.int64)
        owner = queries.query_of
        apart = np.diff(queries.times) > self.gap_minutes * MINUTE_US
        basket = np.concatenate(([0], np.cumsum(apart | (np.diff(owner) != 0))))
        last = basket[np.maximum(queries.indptr[1:] - 1, 0)]
        return np.asarray(last[owner] - basket, np.int64)

    def event_weights(self, queries: Queries) -> npt.NDArray[np.float32]:
        """Return float32 (h,): the part of each past event in its shopper's vector.

        An event counts by its own weight too; unknown items keep their place among the baskets
        and bring nothing.
        """
        ages = self.ages(queries)
        owner = queries.query_of
        baskets = np.zeros(len(queries), np.int64)
        np.maximum.at(baskets, owner, ages + 1)
        group, place = np.divmod(ages, self.group)
        members = np.minimum(self.group, baskets[owner] - group * self.group)
        groups = -(-baskets // self.group)
        faded = self.group_decay ** group.astype(float) * self.within_decay ** place.astype(float)
        known = np.where(queries.items >= 0, np.maximum(queries.weights, 0), 0)
        return np.asarray(known * faded / (members * groups[owner]), np.float32)


@dataclass(frozen=True)
class RepeatModel(Model):
    """The training baskets.

    Attributes
    ----------
    vectors
        CSR float32 (n_users, n_items): the faded frequencies of each training shopper.
    people
        CSR float32, same shape: by what they are compared, rows of length 1.
    column
        float32 (n_items,): weight of each item in comparisons.
    newest
        float32 (n_items,): share of the shoppers who have it in their newest basket; NaN for
        items nobody took.
    again
        float32 (n_items,): the factor of items that people buy again, 1 for the average.
    """

    answers: ClassVar[Answers] = Answers(explains=True)

    spec: Repeat
    vectors: sparse.csr_array
    people: sparse.csr_array
    column: npt.NDArray[np.float32]
    newest: npt.NDArray[np.float32]
    again: npt.NDArray[np.float32]

    def nearest(self, queries: Queries) -> sparse.csr_array:
        """Return CSR float32 (n, n_users): the voices of the nearest shoppers, rows sum to 1."""
        profile = scale_columns(self._profile(queries), self.column)
        shared = (profile @ self.people.T).tocsr()
        shared.sort_indices()
        near = top_of_rows(shared, self.spec.neighbours)
        return scale_rows(near, _inverse(near.sum(axis=1)))

    def scores(self, queries: Queries) -> npt.NDArray[np.float32]:
        """Return the weighed sum; NaN for empty histories and items nobody took."""
        profile = self._profile(queries)
        told = np.diff(profile.indptr) > 0
        out = np.where(told[:, None], np.float32(self.spec.popular) * self.newest, np.nan)
        voices = [(profile, self.spec.own)]
        if self.spec.own < 1:
            others = (self.nearest(queries) @ self.vectors).tocsr()
            voices.append((others, 1 - self.spec.own))
        for matrix, share in voices:
            out[rows_of(matrix), matrix.indices] += np.float32(share) * matrix.data
        return np.asarray(out * self.again, np.float32)

    def contributions(
        self, query: Queries, items: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Return float32 (len(items), len(query.items)): each event's share, neighbours fixed.

        Popularity speaks as soon as there is any event, so each known one has an equal share in
        it (its Shapley value).
        """
        weights = self.spec.event_weights(query)
        past = np.maximum(query.items, 0)
        own = (items[:, None] == past) * weights
        near = self.nearest(query)
        compared = self.people[near.indices][:, past].toarray() * weights * self.column[past]
        total = compared.sum(axis=1)
        voice = np.divide(near.data, total, out=np.zeros_like(total), where=total > 0)
        others = (self.vectors[near.indices][:, items].toarray().T * voice) @ compared
        told = weights > 0
        prior = np.nan_to_num(self.newest[items])[:, None] * (told / max(1, told.sum()))
        out = self.spec.own * own + (1 - self.spec.own) * others + self.spec.popular * prior
        return np.asarray(out * self.again[items, None], np.float32)

    def _profile(self, queries: Queries) -> sparse.csr_array:
        return _vectors(queries, self.spec.event_weights(queries), len(self.items))


def _vectors(queries: Queries, weights: npt.NDArray[np.float32], n_items: int) -> sparse.csr_array:
    summed = replace(queries, weights=weights).matrix(n_items)
    summed.eliminate_zeros()
    return summed


def _rebought(
    histories: Queries, ages: npt.NDArray[np.int64], n_items: int
) -> npt.NDArray[np.float64]:
    """Return float64 (n_items,): how often an item is bought again, over the mean of all."""
    pair = histories.query_of * n_items + histories.items
    held = np.unique(np.stack((pair, ages)), axis=1)
    _, oldest, baskets = np.unique(held[0], return_index=True, return_counts=True)
    oldest += baskets - 1
    item = held[0, oldest] % max(1, n_items)
    chances = np.bincount(item, held[1, oldest], n_items)
    again = np.bincount(item, baskets - 1, n_items)
    mean = again.sum() / max(1.0, chances.sum())
    if not mean:
        return np.ones(n_items)
    return np.asarray((again + DOUBT * mean) / (chances + DOUBT) / mean)


def _lengths(matrix: sparse.csr_array) -> npt.NDArray[np.float64]:
    return np.asarray(np.sqrt(row_squares(matrix)))


def _inverse(sums: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return np.asarray(np.divide(1.0, sums, out=np.zeros(len(sums)), where=sums > 0))

"""The contracts of the `learn` stage: a frozen `Spec` fits a `Dataset` into a `Model`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.models.candidates import Candidates
from endcap.models.inner import ByLength, Product
from endcap.models.inverted import Inverted, best_of, scores_of
from endcap.models.queries import Queries
from endcap.models.topk import top_k
from endcap.prepare.dataset import Dataset
from endcap.prepare.vocabulary import Vocabulary
from endcap.schema.progress import Progress, silent
from endcap.schema.strict import Strict

Rng = np.random.Generator | int
BLOCK_BYTES = 64 << 20
"""Scores held at once while retrieving: queries are answered in blocks of this size."""
PEOPLE = "people"
"""The relation of two items that people took both of; see `Hop`."""
MANY, PIECE = 256, 8192
"""Queries for which items are put in the order of their lengths, and folded in at once."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model can answer.

    Attributes
    ----------
    strangers
        A user it never saw, from a handful of fresh events (fold-in).
    empty
        A query with no history at all (popularity can, collaborative models cannot).
    warm_items
        Items nobody has touched yet, from their attributes.
    ratings
        `Model.predict` gives values on the scale of the ratings.
    explains
        `Model.contributions` splits a score exactly over the history.
    """

    strangers: bool = True
    empty: bool = False
    warm_items: bool = False
    ratings: bool = False
    explains: bool = False


class Spec(Strict, ABC):
    """The settings of a model, and the only way to a trained one.

    Stability: implementer.
    """

    contract_skips: ClassVar[Mapping[str, str]] = {}
    """Checks of `endcap.testing.contracts.models` that this model cannot pass: name to reason."""

    @abstractmethod
    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "Model":
        """Learn from `data`. Same data, same seed: same model, bit for bit."""


@dataclass(frozen=True)
class Model(ABC):
    """A trained model. Every field of a subclass is saved and loaded by `models.store`:

    arrays (`ndarray`, `csr_array`), `Vocabulary`, `Spec`, `Inverted`, numbers, strings.

    Attributes
    ----------
    index
        Proposes items by `product` where a look at all would take long; None looks at all.

    Stability: implementer.
    """

    answers: ClassVar[Answers] = Answers()

    spec: Spec
    users: Vocabulary
    items: Vocabulary
    index: Inverted | None = field(default=None, kw_only=True, repr=False, compare=False)

    @abstractmethod
    def scores(self, queries: Queries) -> npt.NDArray[np.float32]:
        """Return float32 (n, n_items): higher is better, NaN where the model cannot say.

        Exclusions and `allowed` are not applied here; `retrieve` does that.
        """

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        """Return at most k known items for each query, best first, none excluded."""
        if self.index is not None:
            return _stack([self._one(piece, k).proposed for piece in _cut(queries, 1)])
        if len(queries) >= MANY and (product := self.product(queries[:0])) is not None:
            items = ByLength.of(product, queries.allowed)
            asked = ((piece, self.product(piece)) for piece in _cut(queries, PIECE))
            return _stack([items.top(said.x, piece, k) for piece, said in asked if said])
        block = max(1, BLOCK_BYTES // (4 * max(1, len(self.items))))
        return _stack([top_k(self.scores(piece), piece, k) for piece in _cut(queries, block)])

    def product(self, queries: Queries) -> Product | None:
        """Return the factors whose inner products are `scores`; None where none are.

        A model that has some answers many queries without a look at most of the items.
        """
        return None

    def score(self, queries: Queries, candidates: Candidates) -> npt.NDArray[np.float32]:
        """Return one score for each candidate in the same order, NaN where it cannot say."""
        block = max(1, BLOCK_BYTES // (4 * max(1, len(self.items))))
        out = np.empty(len(candidates.items), np.float32)
        for start in range(0, len(queries), block):
            stop = min(start + block, len(queries))
            span = slice(candidates.indptr[start], candidates.indptr[stop])
            dense = self.scores(queries[start:stop])
            out[span] = dense[candidates.query_of[span] - start, candidates.items[span]]
        return out

    def opinion(self, queries: Queries, k: int) -> "Opinion":
        """Return what `retrieve` proposes together with `score`, the common work done once.

        A model that does both from dense scores computes them once: float32 (n, n_items) stay in
        memory until the opinion is let go.
        """
        kind = type(self)
        if kind.retrieve is not Model.retrieve or kind.score is not Model.score:
            return Opinion(self.retrieve(queries, k), partial(self.score, queries))
        if len(queries) == 1 and kind.product is not Model.product:
            return self._one(queries, k)
        dense = self.scores(queries)
        return Opinion(top_k(dense, queries, k), lambda union: dense[union.query_of, union.items])

    def _one(self, query: Queries, k: int) -> "Opinion":
        """Answer one query from its factors: no score is written down but those of the best."""
        product = self.product(query)
        if product is None:
            dense = self.scores(query)
            return Opinion(top_k(dense, query, k), lambda union: dense[0, union.items])
        proposed = best_of(product, query, k, self.index)
        return Opinion(proposed, lambda union: scores_of(product, union.items))

    def similar(
        self,
        items: npt.ArrayLike,
        k: int,
        *,
        exclude: npt.ArrayLike = (),
        allowed: npt.ArrayLike | None = None,
    ) -> Candidates:
        """Return at most k items like each of the given item rows, itself left out.

        Parameters
        ----------
        items
            Item rows; -1 (unknown) is answered as an empty history is.
        k
            At most this many.
        exclude
            Item rows that must not come for any of `items`.
        allowed
            The only item rows that may come; None allows all.
        """
        rows = np.asarray(items, dtype=np.int32)
        banned = np.asarray(exclude, dtype=np.int32)
        queries = replace(
            Queries.of_histories(rows[:, None]),
            exclude=np.tile(banned, len(rows)),
            exclude_indptr=np.arange(len(rows) + 1, dtype=np.int64) * len(banned),
            allowed=None if allowed is None else np.asarray(allowed, dtype=np.int32),
        )
        return self.retrieve(queries.excluding_history(), k)

    def contributions(
        self, query: Queries, items: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32] | None:
        """Return float32 (len(items), len(query.items)): each past event's share of a score.

        Rows sum to the score for a model that declares `explains`; others return None.
        `query` holds exactly one query.
        """
        return None

    def left_out(
        self,
        query: Queries,
        items: npt.NDArray[np.int32],
        groups: npt.NDArray[np.int64],
        n: int,
    ) -> npt.NDArray[np.float32]:
        """Return float32 (n, len(items)): the scores had the events of each group not happened.

        Asked again by default; a model that knows a quicker way to the same numbers takes it.

        Parameters
        ----------
        query
            Exactly one.
        groups, n
            As in `Queries.leaving_out`.
        """
        asked = query.leaving_out(groups, n)
        return self.score(asked, Candidates.of([items] * n)).reshape(n, len(items))

    def path(self, past: int, item: int) -> "tuple[Hop, ...]":
        """Return the hops by which a past item (row) speaks most for another; () knows of none."""
        return ()

    def split(self, query: Queries, items: npt.NDArray[np.int32]) -> "Split":
        """Return `contributions` together with `left_out`, the common work done once."""
        return Split(self.contributions(query, items), partial(self.left_out, query, items))


class Opinion(NamedTuple):
    """What a model proposes, and how it scores what others proposed for the same queries.

    An item that the queries exclude may be scored NaN.
    """

    proposed: Candidates
    score: Callable[[Candidates], npt.NDArray[np.float32]]


class Hop(NamedTuple):
    """One step of a path from a past item to a recommended one.

    Attributes
    ----------
    relation
        Its name in the catalogue (``"author"``), or `PEOPLE` where people took both.
    inverse
        Whether it is walked from its target to the item that names it.
    name
        The entity that is reached; empty where it is an item.
    item
        Row of the item that is reached, -1 where it is an entity.
    """

    relation: str
    inverse: bool = False
    name: str = ""
    item: int = -1


class Split(NamedTuple):
    """What each past event adds to some scores, and what the scores would be without some."""

    contributions: npt.NDArray[np.float32] | None
    left_out: Callable[[npt.NDArray[np.int64], int], npt.NDArray[np.float32]]


class RatingModel(Model):
    """A model of explicit ratings."""

    answers: ClassVar[Answers] = Answers(ratings=True)

    @abstractmethod
    def predict(
        self, users: npt.NDArray[np.int32], items: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Return the expected rating, float32 (n,), of each (user row, item row) pair.

        Row -1 stands for an unknown user or item and is answered by what is left.
        """


def _cut(queries: Queries, size: int) -> Iterator[Queries]:
    for start in range(0, len(queries), size):
        yield queries[start : start + size]


def _stack(parts: list[Candidates]) -> Candidates:
    if not parts:
        return Candidates.of([])
    if len(parts) == 1:
        return parts[0]
    ends = np.cumsum([0] + [len(part.items) for part in parts])
    return Candidates(
        np.concatenate(
            [[0]] + [part.indptr[1:] + end for part, end in zip(parts, ends, strict=False)]
        ).astype(np.int64),
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.source for part in parts]),
    )

"""Items posted after the models were trained, ranked among the others by what they are like.

A newcomer has no row in any model. What speaks for it is told by its description: how much it is
like the items that the blend puts first for this shopper, and like those of the shopper's past.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from endcap.models.aligned import not_negative
from endcap.models.described import Described
from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.blend import Blend
from endcap.recommend.evidence import Evidence
from endcap.recommend.shelf import Pick
from endcap.recommend.slate import Reason

NEWCOMER: Final = "newcomer"
ANCHORS: Final = 200
"""The best of the blend, from which newcomers borrow."""
MOST: Final = 1000
"""The newest are looked at."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fresh:
    """The newcomers of one request.

    Attributes
    ----------
    items
        Rows of schema `ITEMS`, by id: what the catalogue holds and the models do not know.
    shown
        Returns those of some ids that may be shown to this shopper, in their order.
    boosts
        Returns float (n,): times what the score of each of some ids counts.
    """

    items: pa.Table
    shown: Callable[[Sequence[str]], Sequence[str]]
    boosts: Callable[[Sequence[str]], npt.NDArray[np.floating]]


class Newcomers:
    """Follows which items of a catalogue a vocabulary does not hold; lock it from outside.

    Parameters
    ----------
    read
        Returns rows of the catalogue (schema `ITEMS`), by id.
    """

    def __init__(self, read: Callable[[Sequence[str]], pa.Table]) -> None:
        self._read = read
        self._words: Vocabulary | None = None
        self._items: pa.Table | None = None

    def of(self, words: Vocabulary, item_ids: Collection[str]) -> pa.Table:
        """Return the rows that `words` do not hold; the same object until something changes."""
        if self._items is None or self._words is not words:
            unknown = sorted(item_id for item_id in item_ids if item_id not in words)
            self._words, self._items = words, self._read(unknown)
        return self._items

    def know(self, words: Vocabulary) -> bool:
        """Return whether `of` would read nothing."""
        return self._items is not None and self._words is words

    def changed(self, items: pa.Table, gone: Collection[str] = ()) -> None:
        """Take in rows that were stored, and forget those that were deleted."""
        if self._items is None or self._words is None:
            return
        ids = items["item_id"]
        new = items.filter(pa.array([i not in self._words for i in ids.to_pylist()], pa.bool_()))
        old = pa.array([*ids.to_pylist(), *gone], pa.string())
        kept = self._items.filter(pc.invert(pc.is_in(self._items["item_id"], old)))
        if new.num_rows or kept.num_rows < self._items.num_rows:
            self._items = pa.concat_tables([kept, new.cast(kept.schema)]).sort_by("item_id")


def unknown_to(words: Vocabulary, items: pa.Table) -> pa.Table:
    """Return the rows of a catalogue that `words` do not hold, by id."""
    return items.filter(pa.array(words.rows(items["item_id"]) < 0)).sort_by("item_id")


def arrivals(
    described: Described, answer: Blend, evidence: Evidence, fresh: Fresh, taken: Collection[str]
) -> list[Pick]:
    """Return the newcomers that something speaks for, best first, on the scale of `answer`.

    With c the cosine of two descriptions, s the scores of the `ANCHORS` best of the blend and x
    the weights of the shopper's past items over the largest of them,

    ``score(n) = a sum_i c_ni^2 s_i + b sum_e c_ne^2 x_e``

    where a and b, neither below 0, are the least-squares fit of the anchors' own scores by what
    each would borrow from the others: so where descriptions say nothing of this shopper's taste,
    newcomers get nothing, and elsewhere they stand on the scale of the others.

    Parameters
    ----------
    answer
        The blend's best, before any boost counts here.
    taken
        Ids that must not come.
    """
    ids, mine = _newest(described, fresh.items)
    if not ids or not len(answer.items):
        return []
    anchors = answer.items[:ANCHORS]
    scores = answer.parts[:, :ANCHORS].sum(axis=0, dtype=np.float64)
    past, loud = _past(evidence)
    beside, before = described.vectors[anchors], described.vectors[past]
    among, alike = _squares(beside, beside), _squares(beside, before)
    np.fill_diagonal(among, 0)
    alike[anchors[:, None] == past] = 0
    sides = np.stack([among @ scores, alike @ loud])
    lent, direct = not_negative(sides @ sides.T, sides @ scores)
    by_past = direct * _squares(mine, before) * loud
    total = lent * (_squares(mine, beside) @ scores) + by_past.sum(axis=1)
    total = np.minimum(total, scores.max()) * fresh.boosts(ids)
    order = [at for at in np.argsort(-total, kind="stable").tolist() if total[at] > 0]
    may = set(fresh.shown([ids[at] for at in order if ids[at] not in taken]))
    told = _Told(by_past, total, past, evidence)
    return [
        Pick(ids[at], float(total[at]), NEWCOMER, place=at, told=told)
        for at in order
        if ids[at] in may
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """Says which past item a newcomer is most like, or that it is like what is recommended."""

    by_past: Floats
    total: Floats
    past: npt.NDArray[np.int32]
    evidence: Evidence

    def __call__(self, places: Sequence[int]) -> list[tuple[Reason, ...]]:
        return [self._of(place) for place in places]

    def _of(self, place: int) -> tuple[Reason, ...]:
        mine = self.by_past[place]
        if not len(mine) or mine.max() <= 0:
            return (Reason("new"),)
        best = int(mine.argmax())
        at = int(np.flatnonzero(self.evidence.query.items == self.past[best])[-1])
        share = float(min(1.0, mine[best] / self.total[place]))
        return (Reason("content", self.evidence.item_ids[at], share, self.evidence.kinds[at]),)


def _newest(described: Described, items: pa.Table) -> tuple[list[str], sparse.csr_array]:
    vectors = described.encode(items)
    ids = items["item_id"].to_pylist()
    if len(ids) <= MOST:
        return ids, vectors
    by_age = pc.sort_indices(items, [("created", "descending"), ("item_id", "ascending")])
    newest = np.sort(by_age.to_numpy()[:MOST])
    return [ids[at] for at in newest], vectors[newest]


def _past(evidence: Evidence) -> tuple[npt.NDArray[np.int32], Floats]:
    """Return the rows of the past items, and their weights over the largest."""
    rows, place = np.unique(evidence.query.items, return_inverse=True)
    loud = np.bincount(place, evidence.query.weights, len(rows)).astype(np.float64)
    return rows.astype(np.int32), loud / max(loud.max(initial=0.0), 1e-12)


def _squares(left: sparse.csr_array, right: sparse.csr_array) -> Floats:
    """Return the squared cosines of some rows and others: what is hardly alike says little."""
    return np.asarray((left @ right.T).toarray(), np.float64) ** 2

"""Items posted after the models were trained, ranked among the others.

A newcomer has no row in any model. What speaks for it is told by its description (how much it is
like the items that the blend puts first for this shopper, and like those of the shopper's past) and
by what everybody has done since: what goes with the shopper's past, and what is taken now.
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
from endcap.recommend.hearing import Heard
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


def arrivals(  # noqa: PLR0917
    described: Described | None,
    answer: Blend,
    evidence: Evidence,
    fresh: Fresh,
    taken: Collection[str],
    heard: Heard,
) -> list[Pick]:
    """Return the newcomers that something speaks for, best first, on the scale of `answer`.

    With c the cosine of two descriptions, s the scores of the `ANCHORS` best of the blend, x the
    weights of the shopper's past items over the largest of them, and h what the models that count
    along add to the score,

    ``score(n) = a sum_i c_ni^2 s_i + b sum_e c_ne^2 x_e + max(d, 1) h_n``

    where a and b, neither below 0, are the least-squares fit of the anchors' own scores by what
    each would borrow from the others, and d of what is left by the anchors' own h: so where
    descriptions say nothing of this shopper's taste, newcomers borrow nothing, and elsewhere they
    stand on the scale of the others. No newcomer is above the best of the blend.

    Parameters
    ----------
    described
        None, or no evidence at all: nothing is borrowed.
    answer
        The blend's best, before any boost counts here.
    taken
        Ids that must not come.
    """
    named = heard.of_all.keys() | heard.of_events.keys()
    ids, rows = _looked_at(fresh.items, named, some=described is not None and len(evidence) > 0)
    if not ids:
        return []
    past, loud = _past(evidence)
    scores = answer.parts[:, :ANCHORS].sum(axis=0, dtype=np.float64)
    spoken = heard.anchors[:ANCHORS]
    lent, by_past, left = np.zeros(len(ids)), np.zeros((len(ids), len(past))), scores
    if described is not None and len(evidence) and len(scores):
        mine = described.encode(fresh.items)[rows]
        lent, by_past, left = _borrowed(described, mine, answer.items[:ANCHORS], scores, past, loud)
    own = float(spoken @ spoken)
    louder = max(float(spoken @ left) / own, 1.0) if own > 0 else 1.0
    by_others = louder * _by_past(ids, heard, evidence, past)
    crowd = louder * np.array([heard.of_all.get(item_id, 0.0) for item_id in ids])
    total = lent + by_past.sum(axis=1) + by_others.sum(axis=1) + crowd
    total = np.minimum(total, scores.max() if len(scores) else 1.0) * fresh.boosts(ids)
    order = [at for at in np.argsort(-total, kind="stable").tolist() if total[at] > 0]
    may = set(fresh.shown([ids[at] for at in order if ids[at] not in taken]))
    told = _Told(by_past, by_others, crowd, total, past, evidence)
    return [
        Pick(ids[at], float(total[at]), NEWCOMER, place=at, told=told)
        for at in order
        if ids[at] in may
    ]


def _borrowed(  # noqa: PLR0917
    described: Described,
    mine: sparse.csr_array,
    anchors: npt.NDArray[np.int32],
    scores: Floats,
    past: npt.NDArray[np.int32],
    loud: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return what newcomers borrow from the anchors, and of each past item; the anchors' rest."""
    beside, before = described.vectors[anchors], described.vectors[past]
    among, alike = _squares(beside, beside), _squares(beside, before)
    np.fill_diagonal(among, 0)
    alike[anchors[:, None] == past] = 0
    sides = np.stack([among @ scores, alike @ loud])
    lent, direct = not_negative(sides @ sides.T, sides @ scores)
    left = scores - lent * sides[0] - direct * sides[1]
    return lent * (_squares(mine, beside) @ scores), direct * _squares(mine, before) * loud, left


def _by_past(
    ids: Sequence[str], heard: Heard, evidence: Evidence, past: npt.NDArray[np.int32]
) -> Floats:
    """Return float64 (n, past): what goes with each past item adds to each newcomer's score."""
    out = np.zeros((len(ids), len(past)))
    columns = np.searchsorted(past, evidence.query.items)
    for at, item_id in enumerate(ids):
        for event, part in heard.of_events.get(item_id, {}).items():
            out[at, columns[event]] += part
    return out


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """Says what speaks most for a newcomer: a past item, what is taken now, or that it is new."""

    by_past: Floats
    by_others: Floats
    crowd: Floats
    total: Floats
    past: npt.NDArray[np.int32]
    evidence: Evidence

    def __call__(self, places: Sequence[int]) -> list[tuple[Reason, ...]]:
        return [self._of(place) for place in places]

    def _of(self, place: int) -> tuple[Reason, ...]:
        mine = self.by_past[place] + self.by_others[place]
        most, crowd, total = mine.max(initial=0.0), self.crowd[place], self.total[place]
        if crowd > most:
            return (Reason("trending", None, float(min(1.0, crowd / total))),)
        if most <= 0:
            return (Reason("new"),)
        best = int(mine.argmax())
        at = int(np.flatnonzero(self.evidence.query.items == self.past[best])[-1])
        kind = "similar" if self.evidence.is_context[at] else "history"
        kind = "content" if self.by_past[place, best] >= self.by_others[place, best] else kind
        share = float(min(1.0, most / total))
        return (Reason(kind, self.evidence.item_ids[at], share, self.evidence.kinds[at]),)


def _looked_at(
    items: pa.Table, named: Collection[str], *, some: bool
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return ids and places of newcomers: the newest where `some` are wanted, and all named."""
    ids: list[str] = items["item_id"].to_pylist()
    if some and len(ids) <= MOST:
        return ids, np.arange(len(ids))
    chosen = {at for at, item_id in enumerate(ids) if item_id in named} if named else set()
    if some:
        by_age = pc.sort_indices(items, [("created", "descending"), ("item_id", "ascending")])
        chosen.update(by_age.to_numpy()[:MOST].tolist())
    rows = np.array(sorted(chosen), np.int64)
    return [ids[at] for at in rows.tolist()], rows


def _past(evidence: Evidence) -> tuple[npt.NDArray[np.int32], Floats]:
    """Return the rows of the past items, and their weights over the largest."""
    rows, place = np.unique(evidence.query.items, return_inverse=True)
    loud = np.bincount(place, evidence.query.weights, len(rows)).astype(np.float64)
    return rows.astype(np.int32), loud / max(loud.max(initial=0.0), 1e-12)


def _squares(left: sparse.csr_array, right: sparse.csr_array) -> Floats:
    """Return the squared cosines of some rows and others: what is hardly alike says little."""
    return np.asarray((left @ right.T).toarray(), np.float64) ** 2

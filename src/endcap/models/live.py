"""What everybody does now: counts that every event changes at once and time fades.

The stream's form of `transitions` and of `trending`: decayed counters (Cormode et al., Forward
decay, ICDE 2009) of items and of pairs that one shopper took within a few events.
"""

import heapq
import itertools
import math
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pydantic

from endcap.models import pairs
from endcap.models.base import Answers, Model, Opinion, Rng
from endcap.models.linear import SummedModel
from endcap.models.listed import look_up, top_listed
from endcap.models.queries import Queries
from endcap.models.weighting import HistorySpec
from endcap.prepare.dataset import Dataset
from endcap.prepare.vocabulary import Vocabulary
from endcap.schema.progress import Progress, silent

Floats = npt.NDArray[np.float32]
Listed = tuple[npt.NDArray[np.int32], Floats]
"""Rows, rising, and what is said of each."""
DAY_US = 86_400_000_000
FAINT = 1e-3
"""Past events that count less are passed over."""
TRENDING = 200
"""Items that can be trending."""
AT_ONCE = 32
"""Events that are followed before somebody who asks is let in: a third of a millisecond's work."""
Taken = tuple[str, str, float, int]
"""Who took what: actor (see `schema.actors`), item, preference in it, UTC microseconds."""


class Live(HistorySpec):
    """Count pairs and items as they happen.

    When a shopper takes j, each of their last `reach` other items i gains
    ``c_ij += w 2^(t / half_life)``, 1/e of it an event further back, and ``c_ji`` gains `backward`
    times as much; the score of j after a history x is
    ``sum_i x_i c_ij / (n_i + shrink)^source n_j^-target``. One shopper counts once for an item and
    a pair while they remember it, and a pair counts once `people` have taken it: nobody can be
    recognised by it, and nobody alone can push it. An event costs O(reach), memory
    O(items x neighbours), bounded.

    Stability: caller.
    """

    decay_events: float = pydantic.Field(default=3.0, ge=0)
    half_life_days: float = pydantic.Field(default=7.0, gt=0)
    """A count is worth half after this long."""
    reach: int = pydantic.Field(default=5, ge=1)
    """How many of a shopper's last items a new one is paired with."""
    backward: float = pydantic.Field(default=0.5, ge=0)
    """What a pair counts against the order of time."""
    people: int = pydantic.Field(default=3, ge=1)
    """A pair that fewer shoppers took says nothing."""
    shrink: float = pydantic.Field(default=2.0, ge=0)
    """Pulls what follows rare items towards 0."""
    source: float = pydantic.Field(default=1.0, ge=0)
    target: float = pydantic.Field(default=0.3, ge=0)
    """Divide by (count of the followed, of the following item) ** this."""
    neighbours: int = pydantic.Field(default=100, ge=1)
    """Followers kept for an item: twice as many gather, then the weakest half goes."""
    max_items: int = pydantic.Field(default=200_000, ge=1)
    max_actors: int = pydantic.Field(default=200_000, ge=1)
    """Items that were taken, and shoppers who took, least recently are forgotten beyond these."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "LiveModel":
        """Live through all interactions in the order of time; `rng` is not used."""
        counts = LiveCounts(self)
        items = data.items.ids(data.column("item"))
        users, times = data.column("user"), data.column("time")
        weights = data.column("weight")
        for row in np.argsort(times, kind="stable").tolist():
            counts.add(str(users[row]), items[row], float(weights[row]), int(times[row]))
        return LiveModel(self, data.users, data.items, counts)


@dataclass(slots=True)
class _Item:
    """One item: its count, and that of each that follows it (see `models.pairs`).

    Nearly all pairs were taken by one shopper: `heard` says whether any was taken by enough.
    """

    item_id: str
    """The one text that all counts refer to: comparing it with itself takes no look at it."""
    number: int
    """What pairs call it; no other item ever has it."""
    count: float = 0.0
    pairs: npt.NDArray[np.float64] = field(default_factory=pairs.some)
    size: int = 0
    heard: bool = False


class LiveCounts:
    """The counters; safe to share between threads.

    Counts are kept in units of one event at the time of the first (forward decay), so that fading
    costs nothing; they are read in units of one event at the time of the latest.

    Parameters
    ----------
    spec
        What is counted.

    Stability: caller.
    """

    _rows: tuple[list[tuple[str, float]], Vocabulary, Listed] | None = None

    def __init__(self, spec: Live) -> None:
        self.spec = spec
        pairs.count(pairs.some(), 0, 0, 0.0)  # compiled, or read, before anybody waits for it
        self._lock = threading.Lock()
        self._due: deque[Taken] = deque()
        self._items: OrderedDict[str, _Item] = OrderedDict()
        self._named: dict[int, _Item] = {}
        self._numbers = itertools.count()
        # Lists of few: a deque has room for 64 from the beginning, 0.7 KB for everybody who came.
        self._last: OrderedDict[str, list[str]] = OrderedDict()
        self._top: dict[str, float] = {}
        self._ranked: list[tuple[str, float]] | None = None  # until the next event
        self._bar = 0.0  # whoever is not in `_top` counts no more than this
        self._first: int | None = None
        self._newest = 0
        self._rate = math.log(2) / (spec.half_life_days * DAY_US)
        self._shares = [math.exp(-back) for back in range(spec.reach)]
        # of the settings, whose own fields are too slow to be asked ten times for an event
        self._people, self._most, self._backward = spec.people, 2 * spec.neighbours, spec.backward
        self._reach = spec.reach

    def __len__(self) -> int:
        self.settle()
        return len(self._items)

    def add(self, actor: str, item_id: str, weight: float, time: int) -> None:
        """Follow one event.

        Parameters
        ----------
        actor
            Who; see `schema.actors`.
        weight
            Preference in the event; 0 or less is not counted.
        time
            UTC microseconds.
        """
        self.later([(actor, item_id, weight, time)])
        self.settle()

    def later(self, taken: Iterable[Taken]) -> None:
        """Follow events soon: by `settle`, or when somebody asks for a count, whichever is first.

        Nobody can tell the difference, but whoever brings them need not wait.
        """
        self._due.extend(taken)

    @property
    def due(self) -> int:
        """How many events are still to be followed."""
        return len(self._due)

    def settle(self) -> None:
        """Follow all events that are due, a few at a time: others want to ask meanwhile."""
        due = self._due
        while due:
            with self._lock:
                for _ in range(min(len(due), AT_ONCE)):
                    self._add(*due.popleft())

    def _add(self, actor: str, item_id: str, weight: float, time: int) -> None:
        if weight <= 0:
            return
        if self._first is None:
            self._first = self._newest = time
        self._newest = max(self._newest, time)
        self._ranked = None
        gain = weight * self._worth(time)
        last = self._remembered(actor)
        taken = self._item(item_id)
        item_id = taken.item_id
        if item_id in last:
            return  # said already: one shopper, one voice
        taken.count += gain
        if taken.count > self._bar:
            self._rise(item_id, taken.count)
        items, follow, back = self._items, self._follow, self._backward
        for other_id, share in zip(reversed(last), self._shares, strict=False):
            near = gain * share
            other = items.get(other_id) or self._item(other_id)
            follow(other, taken.number, near)
            follow(taken, other.number, near * back)
        last.append(item_id)
        if len(last) > self._reach:
            del last[0]

    def forget(self, actor: str) -> None:
        """Forget what a shopper took last; what all of them took stays, and names nobody."""
        self.settle()
        with self._lock:
            self._last.pop(actor, None)

    def followers(self, item_id: str) -> dict[str, float]:
        """Return the score of what goes with an item, for pairs that enough shoppers took."""
        spec = self.spec
        self.settle()
        with self._lock:
            item = self._items.get(item_id)
            if item is None or not item.heard:
                return {}
            one = self._worth(self._newest)
            below = (item.count / one + spec.shrink) ** spec.source
            named = self._named
            return {
                other.item_id: gain / one / below * (other.count / one) ** -spec.target
                for number, gain in pairs.taken_by(item.pairs[: item.size], self._people)
                if (other := named.get(number)) is not None
            }

    def trending(self) -> list[tuple[str, float]]:
        """Return the `TRENDING` items taken most, and their counts in events of this moment."""
        self.settle()
        with self._lock:
            if self._ranked is None:
                one = self._worth(self._newest)
                best = heapq.nlargest(TRENDING, self._top.items(), key=_count)
                self._ranked = [(item_id, count / one) for item_id, count in best]
            return self._ranked

    def rows_of(self, told: list[tuple[str, float]], words: Vocabulary) -> Listed:
        """Return what `trending` told as a list of rows; kept until it tells something else."""
        kept = self._rows
        if kept is None or kept[0] is not told or kept[1] is not words:
            kept = self._rows = told, words, _known(words, dict(told))
        return kept[2]

    def beyond(self, words: Vocabulary) -> dict[str, float]:
        """Return what `trending` tells of ids that the words do not hold."""
        return _unknown(words, dict(self.trending()))

    def _rise(self, item_id: str, count: float) -> None:
        # Counts only grow, so nobody below the bar can be among the first without passing here.
        self._top[item_id] = count
        if len(self._top) > 2 * TRENDING:
            self._top = dict(heapq.nlargest(TRENDING, self._top.items(), key=_count))
            self._bar = min(self._top.values())

    def _worth(self, time: int) -> float:
        # Bounded: a thousand half-lives from the first event on, all count alike.
        return math.exp(min(max((time - (self._first or 0)) * self._rate, -600.0), 600.0))

    def _remembered(self, actor: str) -> list[str]:
        last = self._last.get(actor)
        if last is None:
            last = self._last[actor] = []
            if len(self._last) > self.spec.max_actors:
                self._last.popitem(last=False)
        else:
            self._last.move_to_end(actor)
        return last

    def _item(self, item_id: str) -> _Item:
        item = self._items.get(item_id)
        if item is None:
            item = self._items[item_id] = _Item(item_id, next(self._numbers))
            self._named[item.number] = item
            if len(self._items) > self.spec.max_items:
                del self._named[self._items.popitem(last=False)[1].number]
        else:
            self._items.move_to_end(item_id)
        return item

    def _follow(self, item: _Item, number: int, gain: float) -> None:
        size, people = pairs.count(item.pairs, item.size, number, gain)
        if size < 0:
            item.pairs = pairs.with_room(item.pairs, self._most + 1)
            size, people = pairs.count(item.pairs, item.size, number, gain)
        item.size = size
        if people >= self._people:
            item.heard = True
        if size > self._most:
            item.size = pairs.let_go(item.pairs, self.spec.neighbours)


@dataclass(frozen=True)
class LiveModel(SummedModel):
    """The pairs counted so far, as a model over the words of an artefact.

    Attributes
    ----------
    counts
        They go on counting: this model is not frozen in time, and is not saved.
    also
        Row of an item -> ids that the words do not hold and that it stands for in queries: what
        goes with them counts as going with it.
    """

    answers: ClassVar[Answers] = Answers(explains=True)

    spec: Live
    counts: LiveCounts
    also: Mapping[int, Sequence[str]] = field(default_factory=dict)

    def scores(self, queries: Queries) -> Floats:
        """Return what goes with each history; NaN for what never went with any of it."""
        out = np.full((len(queries), len(self.items)), np.nan, np.float32)
        parts = self.spec.event_weights(queries)
        owners = queries.query_of
        for event in np.flatnonzero(parts > FAINT).tolist():
            rows, scores = self._after(int(queries.items[event]))
            row = out[owners[event]]
            row[rows] = np.nan_to_num(row[rows]) + parts[event] * scores
        return out

    def opinion(self, queries: Queries, k: int) -> Opinion:
        """See `Model.opinion`; one query is answered from the few items that went with its own."""
        if len(queries) != 1:
            return super().opinion(queries, k)
        total: dict[str, float] = {}
        for _, part, told in self._spoken(queries):
            for other_id, score in told.items():
                total[other_id] = total.get(other_id, 0.0) + part * score
        return _listed(*_known(self.items, total), queries, k)

    def units(self, query: Queries, items: npt.NDArray[np.int32]) -> Floats:
        """Return float32 (len(items), len(query.items)): what an event of weight 1 adds."""
        asked = self.items.ids(items)
        out = np.zeros((len(items), len(query.items)), np.float32)
        for event, _, told in self._spoken(query):
            out[:, event] = [told.get(item_id, 0.0) for item_id in asked]
        return out

    def beyond(self, query: Queries) -> Iterator[tuple[int, dict[str, float]]]:
        """Yield each event, and the scores it adds to ids that the words do not hold."""
        for event, part, told in self._spoken(query):
            if unknown := _unknown(self.items, told):
                yield event, {item_id: part * score for item_id, score in unknown.items()}

    def _spoken(self, query: Queries) -> Iterator[tuple[int, float, dict[str, float]]]:
        """Yield each event that counts, how much, and what goes with its item, if anything does."""
        parts = self.spec.event_weights(query)
        spoken = np.flatnonzero(parts > FAINT)
        rows = query.items[spoken]
        events = zip(
            spoken.tolist(),
            parts[spoken].tolist(),
            rows.tolist(),
            self.items.ids(rows),
            strict=True,
        )
        for event, part, row, item_id in events:
            if told := self._followers(row, item_id):
                yield event, part, told

    def _followers(self, row: int, item_id: str) -> dict[str, float]:
        told = self.counts.followers(item_id)
        for other in self.also.get(row, ()):
            more = self.counts.followers(other)
            told = {**told, **{i: max(score, told.get(i, 0.0)) for i, score in more.items()}}
        return told

    def _after(self, row: int) -> Listed:
        return _known(self.items, self._followers(row, self.items.ids([row])[0]))


@dataclass(frozen=True)
class LiveTrending(Model):
    """What is taken most at this moment, by the same counters, for everybody alike."""

    answers: ClassVar[Answers] = Answers(empty=True)

    spec: Live
    counts: LiveCounts

    def scores(self, queries: Queries) -> Floats:
        """Return the counts of this moment; NaN for what nobody takes."""
        rows, counts = self._told()
        one = np.full(len(self.items), np.nan, np.float32)
        one[rows] = counts
        return np.tile(one, (len(queries), 1))

    def opinion(self, queries: Queries, k: int) -> Opinion:
        """See `Model.opinion`."""
        if len(queries) != 1:
            return super().opinion(queries, k)
        return _listed(*self._told(), queries, k)

    def beyond(self) -> dict[str, float]:
        """Return the counts of ids that the words do not hold."""
        return self.counts.beyond(self.items)

    def _told(self) -> Listed:
        return self.counts.rows_of(self.counts.trending(), self.items)


def _listed(rows: npt.NDArray[np.int32], scores: Floats, query: Queries, k: int) -> Opinion:
    """Return the opinion about one query of a model that speaks of a few items, by rising row."""
    return Opinion(
        top_listed(rows, scores, query, k), lambda union: look_up(rows, scores, union.items)
    )


def _count(entry: tuple[str, float]) -> float:
    return entry[1]


def _unknown(words: Vocabulary, told: Mapping[str, float]) -> dict[str, float]:
    return {item_id: value for item_id, value in told.items() if item_id not in words}


def _known(words: Vocabulary, told: Mapping[str, float]) -> Listed:
    """Return the rows, rising, and the values of those that the words hold."""
    rows, values = words.places(told), np.fromiter(told.values(), np.float32, len(told))
    order = np.argsort(rows)
    order = order[np.searchsorted(rows[order], 0) :]
    return rows[order], values[order]

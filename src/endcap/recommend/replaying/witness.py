"""A state that remembers what a recommender asked of it: enough to ask the same again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from endcap.models.live import Listed, LiveCounts
from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.spot import Spot
from endcap.recommend.state import History, State
from endcap.schema.errors import EndcapError

Rows = npt.NDArray[np.int32]
Told = TypeVar("Told")


class Looks(NamedTuple):
    """The questions of a state that has been brought up to now: answering them looks no further."""

    history: Callable[[str], History]
    available_rows: Callable[[Vocabulary, int], Rows]
    available_ids: Callable[[int], Sequence[str]]


class Placed(State, Protocol):
    """A state that knows where in the store's past it is."""

    def caught_up(self) -> Looks:
        """Follow whatever anybody acknowledged before this call; it may wait for other machines."""

    def as_it_is(self) -> Looks:
        """Return what is known here, without waiting for anybody."""

    @property
    def position(self) -> int:
        """The position of the catalogue that it has followed (`Catalogue.position`)."""

    def people(self, actor: str) -> list[str]:
        """Return the actors whose events make up a history: a user, and visitors aliased to it."""


class Witness:
    """A `State` over another, for one request.

    What is small or gone in a moment (counts, who was shown what) is kept as it was answered; what
    the store keeps anyway (histories, the catalogue) is kept by its position and looked up again.
    It answers the same however often it is asked, whatever happens beside it.

    Parameters
    ----------
    wait
        Whether it catches up first with what others acknowledged.

    Attributes
    ----------
    histories
        Who -> (the actors whose events these are, the history).
    shown
        Who -> item id -> how often they were shown it.
    where
        Who -> where their account says they are.
    counted, heard
        Item id -> what was answered of exposure; what was answered of the live counts.
    position
        Of the catalogue.
    """

    def __init__(self, state: Placed, *, wait: bool = True) -> None:
        self._state = state
        self._looks = state.caught_up() if wait else state.as_it_is()
        self._failed: dict[tuple[str, str], EndcapError] = {}
        self._new: tuple[Vocabulary, pa.Table] | None = None
        self.now = state.now
        self.version = state.version
        self.position = state.position
        self.histories: dict[str, tuple[list[str], History]] = {}
        self.shown: dict[str, Mapping[str, int]] = {}
        self.where: dict[str, Spot] = {}
        self.counted = Counted(state.exposure)
        live = state.live
        self.heard = None if live is None else Heard(live)

    @property
    def columns(self) -> Columns:
        """See `State.columns`."""
        return self._state.columns

    @property
    def live(self) -> LiveCounts | None:
        """See `State.live`."""
        return self.heard

    @property
    def exposure(self) -> Mapping[str, int]:
        """See `State.exposure`."""
        return self.counted

    def history(self, actor: str) -> History:
        """See `State.history`."""
        if actor not in self.histories:
            history = self._tried("history", self._looks.history, actor)
            self.histories[actor] = self._state.people(actor), history
        return self.histories[actor][1]

    def whereabouts(self, actor: str) -> Spot:
        """See `State.whereabouts`."""
        if actor not in self.where:
            self.where[actor] = self._tried("whereabouts", self._state.whereabouts, actor)
        return self.where[actor]

    def _tried(self, what: str, ask: Callable[[str], Told], actor: str) -> Told:
        """Ask once: who asks again for what failed need not wait again."""
        if (what, actor) in self._failed:
            raise self._failed[what, actor]
        try:
            return ask(actor)
        except EndcapError as error:
            self._failed[what, actor] = error
            raise

    def shown_to(self, actor: str, since: int = 0) -> Mapping[str, int]:
        """See `State.shown_to`."""
        if actor not in self.shown:
            self.shown[actor] = dict(self._state.shown_to(actor, since))
        return self.shown[actor]

    def available_rows(self, words: Vocabulary, now: int) -> Rows:
        """See `State.available_rows`."""
        return self._looks.available_rows(words, now)

    def on_shelf(self, item_ids: Sequence[str], now: int) -> Sequence[str]:
        """See `State.on_shelf`."""
        return self._state.on_shelf(item_ids, now)

    def newcomers(self, words: Vocabulary) -> pa.Table:
        """See `State.newcomers`."""
        if self._new is None or self._new[0] is not words:
            self._new = words, self._state.newcomers(words)
        return self._new[1]

    def available_ids(self, now: int) -> Sequence[str]:
        """See `State.available_ids`."""
        return self._looks.available_ids(now)

    def facts(self, item_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        """See `State.facts`."""
        return self._state.facts(item_ids)

    def at(self, now: datetime) -> "Witness":
        """Return itself with another clock."""
        self.now = now
        return self


class Heard(LiveCounts):
    """Live counts that keep what they answered."""

    def __init__(self, counts: LiveCounts) -> None:
        self.spec = counts.spec
        self._counts = counts
        self.size = len(counts)
        self.after: dict[str, dict[str, float]] = {}
        self.risen: list[tuple[str, float]] | None = None

    def __len__(self) -> int:
        return self.size

    def followers(self, item_id: str) -> dict[str, float]:
        """See `LiveCounts.followers`."""
        told = self.after.get(item_id)
        if told is None:
            told = self.after[item_id] = self._counts.followers(item_id)
        return told

    def trending(self) -> list[tuple[str, float]]:
        """See `LiveCounts.trending`."""
        if self.risen is None:
            self.risen = self._counts.trending()
        return self.risen

    def rows_of(self, told: list[tuple[str, float]], words: Vocabulary) -> Listed:
        """See `LiveCounts.rows_of`; what it keeps outlives a request."""
        return self._counts.rows_of(told, words)


class Counted(Mapping[str, int]):
    """Counts by item that keep what they answered."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = counts
        self.told: dict[str, int] = {}

    def __getitem__(self, item_id: str) -> int:
        if item_id not in self.told:
            self.told[item_id] = self._counts.get(item_id, 0)
        return self.told[item_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

"""What a recommender needs to know of the world at the moment of asking, in external ids."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from endcap.prepare.vocabulary import Vocabulary


class History(NamedTuple):
    """What one actor did, oldest first; the four columns have the same length."""

    item_ids: Sequence[str]
    kinds: Sequence[str]
    times: npt.NDArray[np.int64]  # UTC microseconds
    values: npt.NDArray[np.float32]  # stars; NaN where the event is no rating

    @classmethod
    def of(cls, events: Sequence[tuple[str, str, int, float]]) -> "History":
        """Build from (item id, kind, time in UTC microseconds, stars or NaN), in any order."""
        rows = sorted(events, key=lambda event: event[2])
        return cls(
            [row[0] for row in rows],
            [row[1] for row in rows],
            np.asarray([row[2] for row in rows], dtype=np.int64),
            np.asarray([row[3] for row in rows], dtype=np.float32),
        )


@runtime_checkable
class State(Protocol):
    """The world as it is now: read only, and quick to read.

    A recommender is a pure function of (request, state): it reads each thing it needs once for a
    request, so an answer never mixes two moments of one shopper's history.

    Stability: implementer (`StoreState` reads a store; the server keeps a live one in memory).
    """

    @property
    def version(self) -> int:
        """A counter that grows with every change that could change an answer."""

    @property
    def now(self) -> datetime:
        """The clock, UTC; used where a request brings no moment of its own."""

    def history(self, actor: str) -> History:
        """Return the item events of an actor (see `schema.actors`), up to the last acknowledged.

        Every kind of event that names an item is there; weighing them is not the state's task.
        A user's history holds what aliased visitors did, and an aliased visitor's history is the
        user's. Somebody unknown has an empty history.
        """

    def available_rows(self, words: Vocabulary, now: int) -> npt.NDArray[np.int32]:
        """Return the rows of `words` that may be shown at `now` (UTC µs), int32, rising.

        In the catalogue, not out of stock, not expired; while no catalogue was ever given, every
        item. Cheap to call for each request (`recommend.availability` keeps it incrementally).
        """

    def available_ids(self, now: int) -> Sequence[str]:
        """Return the items of the catalogue that may be shown at `now`, newest first.

        It is the shelf of last resort, and the only one with items younger than the models.
        """

    def facts(self, item_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        """Return what a page shows of each item it knows: ``title``, ``price`` (a decimal in a
        string), ``currency``, ``image``, ``url``, ``brand``, ``categories``; unset keys missing.
        """

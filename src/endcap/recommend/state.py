"""What a recommender needs to know of the world at the moment of asking, in external ids."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import compress
from operator import itemgetter
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from endcap.models.live import LiveCounts
from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.spot import Spot
from endcap.schema.kinds import IMPRESSION

PURCHASE: Final = "purchase"
REFUND: Final = "refund"
CARTING: Final = ("cart", "uncart", PURCHASE)
"""What changes a cart; what the last of them left in it is there now."""
TAKEN_UP: Final = ("click", "cart", PURCHASE)
EXPOSURE_DAYS: Final = 14.0
"""For how long what was shown counts as exposure."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Event = tuple[str, str, int, float, int]

_time: Final = itemgetter(2)


def moment_us(moment: datetime) -> int:
    """Return a moment as UTC microseconds."""
    return (moment - EPOCH) // timedelta(microseconds=1)


class History(NamedTuple):
    """What one actor did, oldest first; the columns have the same length."""

    item_ids: Sequence[str]
    kinds: Sequence[str]
    times: npt.NDArray[np.int64]  # UTC microseconds
    values: npt.NDArray[np.float32]  # stars; NaN where the event is no rating
    quantities: npt.NDArray[np.int64] | None = None  # units bought or sent back; None: 1 each

    @classmethod
    def of(cls, events: Sequence[tuple[str, str, int, float] | Event]) -> "History":
        """Build from (item id, kind, time in UTC µs, stars or NaN[, quantity]), in any order."""
        rows = sorted(events, key=_time)
        if not rows:
            no = np.empty(0, np.int64)
            return cls([], [], no, no.astype(np.float32), no)
        item_ids, kinds, times, values = zip(*(row[:4] for row in rows), strict=True)
        return cls(
            list(item_ids),
            list(kinds),
            np.array(times, np.int64),
            np.array(values, np.float32),
            np.array([row[4] if len(row) == 5 else 1 for row in rows], np.int64),
        )

    def settled(self) -> "History":
        """Return what stays once each refund has taken back the purchases before it.

        A refund takes its units from the latest earlier purchases of the item; a purchase of which
        nothing is left, and every refund, is gone: as `prepare.refunds` does for training.
        """
        if REFUND not in self.kinds:
            return self
        owed: dict[str, int] = {}
        kept = np.ones(len(self.kinds), dtype=bool)
        for at in reversed(range(len(self.kinds))):
            item_id, units = (
                self.item_ids[at],
                1 if self.quantities is None else self.quantities[at],
            )
            if self.kinds[at] == REFUND:
                kept[at] = False
                owed[item_id] = owed.get(item_id, 0) + int(units)
            elif self.kinds[at] == PURCHASE and owed.get(item_id):
                kept[at] = units > owed[item_id]
                owed[item_id] = max(0, owed[item_id] - int(units))
        return self.where(kept)

    def unclicked(self, since: int = 0) -> dict[str, int]:
        """Return item id -> how often it was shown since its last click, cart or purchase.

        Counted is what was shown from `since` (UTC microseconds) on.
        """
        counts: dict[str, int] = {}
        rows = zip(self.item_ids, self.kinds, self.times.tolist(), strict=True)
        for item_id, kind, time in rows:
            if time < since:
                continue
            if kind == IMPRESSION:
                counts[item_id] = counts.get(item_id, 0) + 1
            elif kind in TAKEN_UP:
                counts[item_id] = 0
        return counts

    def where(self, kept: npt.NDArray[np.bool_]) -> "History":
        """Return only the events where `kept`, bool (n,), is true."""
        return History(
            list(compress(self.item_ids, kept)),
            list(compress(self.kinds, kept)),
            self.times[kept],
            self.values[kept],
            None if self.quantities is None else self.quantities[kept],
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

    @property
    def columns(self) -> Columns:
        """The catalogue as filters and boosts ask it; the same object until it is read anew."""

    @property
    def live(self) -> LiveCounts | None:
        """What everybody does now; None where nobody counts along."""

    def history(self, actor: str) -> History:
        """Return the item events of an actor (see `schema.actors`), up to the last acknowledged.

        Every kind of event that names an item is there; weighing them is not the state's task.
        A user's history holds what aliased visitors did, and an aliased visitor's history is the
        user's. Somebody unknown has an empty history.
        """

    def shown_to(self, actor: str, since: int = 0) -> Mapping[str, int]:
        """Return item id -> how often an actor was shown it since they last took it up.

        Taking it up is a click, a cart, a purchase. What was shown before `since` (UTC
        microseconds) does not count. Asked only where rules weigh fatigue.
        """

    def whereabouts(self, actor: str) -> Spot:
        """Return where an actor's account says they are (its attributes ``lat`` and ``lon``).

        An aliased visitor is where the user is. Asked only where a condition or factor asks it.
        """

    @property
    def exposure(self) -> Mapping[str, int]:
        """Item id -> how often anybody was shown it lately. Asked only where rules weigh reach."""

    def available_rows(self, words: Vocabulary, now: int) -> npt.NDArray[np.int32]:
        """Return the rows of `words` that may be shown at `now` (UTC µs), int32, rising.

        In the catalogue, not out of stock, not expired; while no catalogue was ever given, every
        item. Cheap to call for each request (`recommend.availability` keeps it incrementally).
        """

    def on_shelf(self, item_ids: Sequence[str], now: int) -> Sequence[str]:
        """Return those of some items that may be shown at `now`, in their order."""

    def newcomers(self, words: Vocabulary) -> pa.Table:
        """Return the rows of the catalogue (schema `ITEMS`) that `words` do not hold, by id.

        The same object until something changes, so that what is made of it can be kept.
        """

    def available_ids(self, now: int) -> Sequence[str]:
        """Return the items of the catalogue that may be shown at `now`, newest first.

        It is the shelf of last resort.
        """

    def facts(self, item_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        """Return what a page shows of each item it knows: ``title``, ``price`` (a decimal in a
        string), ``currency``, ``image``, ``url``, ``brand``, ``categories``; unset keys missing.
        """

"""Who shops here and what sells: counts for the picker and the long-tail picture."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from time import monotonic
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from endcap.events.store import EventLog
from endcap.schema.actors import VISITOR_PREFIX
from endcap.schema.kinds import PREFERENCE_KINDS

FRESH_SECONDS: Final = 30.0
FIRST_SECONDS: Final = 1.0
"""So long the very first page waits for the first counts; later ones never wait."""
MOST_EVENTS: Final = 1_000_000
"""The first count of a log ends here: it serves a picture and a picker, not the books."""
LIVELY: Final = (12, 60)
"""A shopper with this many events shows well: enough to learn from, few enough to read."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shopper:
    """One line of the picker; `last` in UTC microseconds."""

    actor: str
    events: int
    last: int


@dataclass(frozen=True, slots=True)
class Census:
    """Counts at one moment.

    Attributes
    ----------
    shoppers
        By id.
    sold
        Item id -> number of events that carry preference, most first.
    last
        Time of the newest event counted, UTC microseconds.
    """

    shoppers: dict[str, Shopper] = field(default_factory=dict)
    sold: dict[str, int] = field(default_factory=dict)
    last: int = 0


class Directory:
    """Counts the log in the background, from its start once and from where it was since then.

    Parameters
    ----------
    events
        The log.
    most
        How many events the first count takes.
    clock
        Seconds, monotonic.
    """

    def __init__(
        self,
        events: EventLog,
        *,
        most: int = MOST_EVENTS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._events, self._most, self._clock = events, most, clock
        self._lock = Lock()
        self._first = Event()
        self._thread: Thread | None = None
        self._tally = Tally()
        self._census = Census()
        self._at = float("-inf")

    def census(self) -> Census:
        """Return the newest counts, and have them made anew when they are old."""
        with self._lock:
            idle = self._thread is None or not self._thread.is_alive()
            if idle and self._clock() - self._at > FRESH_SECONDS:
                self._at = self._clock()
                self._thread = Thread(target=self._count, name="census", daemon=True)
                self._thread.start()
        self._first.wait(FIRST_SECONDS)
        return self._census

    def wait(self) -> None:
        """Wait until a count under way has ended."""
        if self._thread:
            self._thread.join()

    def search(self, text: str, limit: int = 8) -> list[Shopper]:
        """Return shoppers whose id starts with `text`, then those that contain it."""
        wanted = text.strip().lower()
        found = [s for s in self.census().shoppers.values() if wanted in s.actor.lower()]
        found.sort(key=lambda s: (not s.actor.lower().startswith(wanted), -s.events, s.actor))
        return found[:limit]

    def lively(self, limit: int = 6) -> list[Shopper]:
        """Return accounts worth a look: recent ones with a history of readable length."""
        low, high = LIVELY
        people = [
            s for s in self.census().shoppers.values() if not s.actor.startswith(VISITOR_PREFIX)
        ]
        people.sort(key=lambda s: (not low <= s.events <= high, -s.last, s.actor))
        return people[:limit]

    def _count(self) -> None:
        since = self._tally.last
        start = datetime.fromtimestamp((since + 1) / 1e6, UTC) if since else None
        shown = self._clock()
        try:
            for batch in self._events.scan(start, kinds=PREFERENCE_KINDS):
                self._tally.add(batch)
                if not self._first.is_set() or self._clock() - shown > 1:
                    self._census, shown = self._tally.census(), self._clock()
                    self._first.set()
                if not since and self._tally.events >= self._most:
                    break
        except Exception as error:  # a picture must not hurt the shop that it shows
            log.warning("census ended early", error=repr(error))
        self._census = self._tally.census()
        self._first.set()


class Tally:
    """Running counts."""

    def __init__(self) -> None:
        self.events = 0
        self.last = 0
        self._actors: Counter[str] = Counter()
        self._seen: dict[str, int] = {}
        self._items: Counter[str] = Counter()

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the events of one batch."""
        visitor = pc.binary_join_element_wise(VISITOR_PREFIX, batch.column("visitor_id"), "")
        table = pa.table(
            {
                "actor": pc.coalesce(batch.column("user_id"), visitor),
                "item": batch.column("item_id"),
                "time": batch.column("time").cast(pa.int64()),
            }
        )
        for actor, n, last in _grouped(table, "actor"):
            self._actors[actor] += n
            self._seen[actor] = max(last, self._seen.get(actor, 0))
            self.last = max(last, self.last)
        for item, n, _ in _grouped(table, "item"):
            self._items[item] += n
        self.events += table.num_rows

    def census(self) -> Census:
        """Return the counts so far."""
        return Census(
            {a: Shopper(a, n, self._seen[a]) for a, n in self._actors.items()},
            dict(sorted(self._items.items(), key=lambda pair: (-pair[1], pair[0]))),
            self.last,
        )


def _grouped(table: pa.Table, key: str) -> Iterable[tuple[str, int, int]]:
    table = table.filter(pc.is_valid(table[key]))
    counted = table.group_by(key).aggregate([(key, "count"), ("time", "max")])
    columns = (counted[name].to_pylist() for name in (key, f"{key}_count", "time_max"))
    return zip(*columns, strict=True)

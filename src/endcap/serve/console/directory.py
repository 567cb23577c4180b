"""Who shops here and what sells: counts for the picker and the long-tail picture."""

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from endcap.events.store import EventLog
from endcap.schema.actors import VISITOR_PREFIX
from endcap.schema.kinds import PREFERENCE_KINDS

FRESH_SECONDS: Final = 30.0
LIVELY: Final = (12, 60)
"""A shopper with this many events shows well: enough to learn from, few enough to read."""
_COLUMNS: Final = ("user_id", "visitor_id", "item_id", "time")


@dataclass(frozen=True, slots=True)
class Shopper:
    """One line of the picker."""

    actor: str
    events: int
    last: int


@dataclass(frozen=True, slots=True)
class Census:
    """A count of the whole log at one moment.

    Attributes
    ----------
    shoppers
        By id.
    sold
        Item id -> number of events that carry preference, most first.
    """

    shoppers: dict[str, Shopper]
    sold: dict[str, int]


class Directory:
    """Counts the log, at most every `FRESH_SECONDS`; a page never waits for more than one count."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._lock = Lock()
        self._census = Census({}, {})
        self._counted, self._at = -1, float("-inf")

    def census(self) -> Census:
        """Return the counts, anew when the log has grown and the last ones are old."""
        with self._lock:
            if monotonic() - self._at > FRESH_SECONDS:
                total = self._log.count()
                if total != self._counted:
                    self._census = count(self._log.scan(kinds=PREFERENCE_KINDS))
                self._counted, self._at = total, monotonic()
            return self._census

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


def count(batches: Iterable[pa.RecordBatch]) -> Census:
    """Count events by shopper and by item, one batch in memory at a time."""
    actors: list[pa.Table] = []
    items: list[pa.Table] = []
    for batch in batches:
        table = pa.table({name: batch.column(name) for name in _COLUMNS})
        visitor = pc.binary_join_element_wise(VISITOR_PREFIX, table["visitor_id"], "")
        table = table.append_column("actor", pc.coalesce(table["user_id"], visitor))
        actors.append(_counted(table, "actor"))
        items.append(_counted(table, "item_id"))
    return Census(
        {a: Shopper(a, n, last) for a, n, last in _total(actors, "actor")},
        {i: n for i, n, _ in _total(items, "item_id")},
    )


def _counted(table: pa.Table, key: str) -> pa.Table:
    table = table.filter(pc.is_valid(table[key]))
    counted = table.group_by(key).aggregate([(key, "count"), ("time", "max")])
    return pa.table(
        {
            key: counted[key],
            "n": counted[f"{key}_count"],
            "last": counted["time_max"].cast(pa.int64()),
        }
    )


def _total(parts: list[pa.Table], key: str) -> list[tuple[str, int, int]]:
    if not parts:
        return []
    merged = pa.concat_tables(parts).group_by(key).aggregate([("n", "sum"), ("last", "max")])
    rows = merged.sort_by([("n_sum", "descending"), (key, "ascending")])
    return list(
        zip(
            rows[key].to_pylist(),
            rows["n_sum"].to_pylist(),
            rows["last_max"].to_pylist(),
            strict=True,
        )
    )

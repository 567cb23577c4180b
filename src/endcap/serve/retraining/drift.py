"""How far the shop has moved from what the artefact that serves has learnt."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pyarrow.compute as pc

from endcap.events.store import Store
from endcap.recommend.artefacts import LOG_END, Artefact
from endcap.schema.actors import actor
from endcap.schema.kinds import IMPRESSION

BASELINE_DAYS: Final = 28
"""Popularity now is compared with that of the last days which the artefact has learnt from."""
TOP: Final = 100


class Drift(msgspec.Struct, frozen=True):
    """Figures of drift since the last training.

    Attributes
    ----------
    new_events
        How many that carry a preference.
    new_events_share
        … against what the artefact learnt from.
    unknown_items_share
        Of the new events, those about items that it does not know.
    fallback_share
        Of the shoppers who did something since and were shown something, those whose last answer
        came from no level that goes by what they did.
    popularity_shift
        See `shift`.
    """

    new_events: int = 0
    new_events_share: float = 0.0
    unknown_items_share: float = 0.0
    fallback_share: float = 0.0
    popularity_shift: float = 0.0


def shift(before: Mapping[str, int], now: Mapping[str, int], top: int = TOP) -> float:
    """Return what share of `now` would have to move to be distributed as `before`, 0 to 1.

    The total variation distance over the `top` items of `before` and all others together, less
    what two samples of one distribution lie apart by chance (the mean of a half-normal,
    ``sqrt(2 v / pi)`` for variance v, summed and halved).
    """
    left, right = sum(before.values()), sum(now.values())
    if not left or not right:
        return 0.0
    names = [name for name, _ in Counter(before).most_common(top)]
    pairs = [(before[name] / left, now.get(name, 0) / right) for name in names]
    pairs.append((1 - sum(p for p, _ in pairs), 1 - sum(q for _, q in pairs)))
    apart = sum(abs(p - q) for p, q in pairs) / 2
    spread = 1 / left + 1 / right
    chance = sum(math.sqrt(2 / math.pi * max(p * (1 - p), 0) * spread) for p, _ in pairs) / 2
    return max(0.0, apart - chance)


class DriftWatch:
    """Reads on in the event log from where the artefact's training ended.

    Parameters
    ----------
    store
        Whose log is read; each event once.
    kinds
        Weight of each kind; those above 0 carry a preference.
    artefact
        What serves.
    """

    def __init__(self, store: Store, kinds: Mapping[str, float], artefact: Artefact) -> None:
        self._store = store
        self._kinds = [kind for kind, weight in kinds.items() if weight > 0]
        self._artefact = artefact
        self._personal = {
            level.name
            for placement in artefact.recipe.placements.values()
            for level in placement.levels
            if level.evidence != "none"
        }
        self._learnt = max(int(artefact.facts.get("interactions", 0)), 1)
        self._at = int(artefact.facts.get(LOG_END, 0))
        self._before = self._baseline()
        self._now: Counter[str] = Counter()
        self._unknown = 0
        self._active: set[str] = set()
        self._answered: dict[str, bool] = {}

    def look(self) -> Drift:
        """Read what is new, and return the figures."""
        end = self._store.log.newest()
        for at, batch in self._store.log.tail(self._at, end, [*self._kinds, IMPRESSION]):
            for row in batch.select(_USED).to_pylist():
                self._follow(row)
            self._at = at
        self._at = max(self._at, end)
        new = self._now.total()
        shown = [worse for who, worse in self._answered.items() if who in self._active]
        return Drift(
            new,
            new / self._learnt,
            self._unknown / max(new, 1),
            sum(shown) / max(len(shown), 1),
            shift(self._before, self._now),
        )

    def _follow(self, row: dict[str, Any]) -> None:
        who, item = actor(row["user_id"], row["visitor_id"]) or "", row["item_id"]
        if row["kind"] == IMPRESSION:
            told = json.loads(row["properties"] or "{}")  # only degraded answers say anything
            level = told.get("served_by")
            self._answered[who] = level is not None and level not in self._personal
        elif item is not None:
            self._active.add(who)
            self._now[item] += 1
            self._unknown += self._artefact.items.row(item) < 0

    def _baseline(self) -> Counter[str]:
        end = datetime.fromtimestamp(self._artefact.facts.get("end", 0) / 1e6, UTC)
        end += timedelta(microseconds=1)
        counts: Counter[str] = Counter()
        since = end - timedelta(days=BASELINE_DAYS)
        for batch in self._store.log.scan(since, end, self._kinds):
            for entry in pc.value_counts(batch.column("item_id")).to_pylist():
                if entry["values"] is not None:
                    counts[entry["values"]] += entry["counts"]
        return counts


_USED: Final = ["kind", "user_id", "visitor_id", "item_id", "properties"]

"""What was shown is written to the event log, without ever delaying or failing an answer."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import structlog

from endcap.events.store import EventLog
from endcap.recommend.slate import Slate
from endcap.schema.errors import StoreError
from endcap.schema.kinds import IMPRESSION
from endcap.schema.stages import stage
from endcap.schema.tables import EVENTS
from endcap.serve.behind import LINGER_SECONDS, Behind

log = structlog.get_logger(__name__)


class Shown:
    """One slate and to whom it went."""

    __slots__ = ("slate", "user_id", "visitor_id")

    def __init__(self, slate: Slate, user_id: str | None, visitor_id: str | None) -> None:
        self.slate = slate
        self.user_id = user_id
        self.visitor_id = visitor_id


def impressions(shown: Sequence[Shown], received: datetime) -> pa.Table:
    """Return one event of kind ``impression`` for each item shown, schema `EVENTS`.

    The slate's position counts from 1; the propensity is below 1 where exploration may fill it.
    """
    slates = [one.slate for one in shown]
    items = [item for slate in slates for item in slate.items]
    told: dict[str, Sequence[object]] = {
        "kind": [IMPRESSION] * len(slates),
        "time": [slate.generated_at for slate in slates],
        "received": [received] * len(slates),
        "user_id": [one.user_id for one in shown],
        "visitor_id": [one.visitor_id for one in shown],
        "placement": [slate.placement for slate in slates],
        "request_id": [slate.request_id for slate in slates],
        "properties": [_served(slate) for slate in slates],
    }
    each: dict[str, Sequence[object]] = {
        "event_id": [f"{slate.request_id}-{i.rank}" for slate in slates for i in slate.items],
        "item_id": [item.item_id for item in items],
        "position": [item.rank for item in items],
        "propensity": [item.propensity for item in items],
    }
    # What a slate says of all its items is put into Arrow once, and repeated there.
    of = pa.array(np.repeat(np.arange(len(slates)), [len(slate.items) for slate in slates]))

    def column(name: str, kind: pa.DataType) -> pa.Array:
        if name in each:
            return pa.array(each[name], kind)
        return pa.array(told[name], kind).take(of) if name in told else pa.nulls(len(of), kind)

    return pa.table([column(field.name, field.type) for field in EVENTS], schema=EVENTS)


def _served(slate: Slate) -> str | None:
    """Return who answered where it was not who should have: training may be due."""
    if not slate.degraded:
        return None
    return json.dumps({"degraded": True, "served_by": slate.served_by})


class ImpressionWriter:
    """Writes impressions to the log, behind the answers.

    Parameters
    ----------
    on_dropped
        Told how many impressions were lost because the queue was full or the store refused.
    on_written
        Told the rows that have become durable.
    """

    def __init__(
        self,
        events: EventLog,
        *,
        clock: Callable[[], datetime],
        on_dropped: Callable[[int], object],
        on_written: Callable[[pa.Table], object] = len,
        room: int = 2_000,
    ) -> None:
        self._log = events
        self._clock = clock
        self._on_dropped = on_dropped
        self._on_written = on_written
        self._behind = Behind("impressions", self._write, room=room, linger_seconds=LINGER_SECONDS)
        self.flush, self.close = self._behind.flush, self._behind.close

    def put(self, shown: Shown) -> None:
        """Queue a slate; returns at once, and drops it when there is no room."""
        if not (shown.user_id or shown.visitor_id) or not shown.slate.items:
            return  # an event has an actor; a slate shown to nobody in particular teaches nothing
        if not self._behind.put(shown):
            self._on_dropped(len(shown.slate.items))

    def _write(self, batch: Sequence[Shown]) -> None:
        rows = impressions(batch, self._clock())
        if not rows.num_rows:
            return
        try:
            with stage("write"):
                self._log.append(rows)
        except StoreError as error:
            self._on_dropped(rows.num_rows)
            log.warning("impressions dropped", count=rows.num_rows, reason=error.code)
            return
        self._on_written(rows)

"""The one rule set for events, whether they come in a file or over HTTP."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import msgspec
import pyarrow as pa

from endcap.events.validate import cells
from endcap.events.validate.cells import Parse
from endcap.events.validate.columns import (
    Columns,
    Row,
    parse_columns,
    parse_extras,
    to_table,
)
from endcap.events.validate.faults import Fault
from endcap.events.validate.quarantine import Broken, quarantine_table
from endcap.events.validate.times import micros, moment, parse_time
from endcap.schema.kinds import KINDS
from endcap.schema.settings import EventSettings
from endcap.schema.tables import EVENTS

MAX_PROPERTIES: Final = cells.MAX_TEXT
_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR

_HASHED: Final = (
    *("kind", "user_id", "visitor_id", "session_id", "item_id", "variant_id", "value", "quantity"),
    *("price", "currency", "order_id", "query", "placement", "request_id", "position"),
    *("propensity", "consent", "domain", "properties"),
)
"""What makes an event itself, with the time by the client's clock: the content of a derived id.

Order and members are for ever; otherwise a newer release would store old files once more.
"""

_KNOWN: Final = {
    False: frozenset(EVENTS.names),
    True: frozenset(EVENTS.names) - {"original", "received"},
}
"""Fields with a meaning, by `live`: a client cannot say when we received its event."""

_VALUE_KINDS: Final = frozenset(name for name, kind in KINDS.items() if kind.needs_value)
_CLOCKS: Final = ("time", "original", "sent_at", "received")


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row was not taken; `index` counts from 0 within the batch."""

    index: int
    event_id: str | None
    field: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A batch after validation; every row is in exactly one of the two tables.

    Attributes
    ----------
    events
        Good rows, schema `EVENTS`, in the order given.
    quarantine
        Bad rows, schema `QUARANTINE`, whole and with their reason.
    errors
        One entry for each bad row, in order.
    """

    events: pa.Table
    quarantine: pa.Table
    errors: list[RowError]


def check(
    rows: Sequence[Row],
    *,
    now: datetime,
    settings: EventSettings | None = None,
    live: bool,
    source: str,
    lines: Sequence[int] | None = None,
    payloads: Sequence[Any] | None = None,
) -> Checked:
    """Validate events; never raises because of what is in a row.

    Parameters
    ----------
    rows
        Fields by name, loose: texts or typed values. Unknown fields go into `properties`.
    now
        The clock of this machine, with a zone.
    settings
        Kinds, and how far in the future or past a time may lie.
    live
        True for events that a client sends as they happen: `received` is `now`, a missing time is
        `now`, and events older than ``browser_age_days`` are refused. False for files: any age,
        and their own `received` and `original` are kept.
    source
        File path or API route, for the quarantine.
    lines
        The 1-based place of each row in the source; by default 1, 2, 3, …
    payloads
        What arrived, where that is not the row itself (a dialect mapped it).

    Notes
    -----
    With `sent_at`, ``time = received - (sent_at - original)``: the client's clock may be a year
    off, the delay that it measured is right. Without it the time is taken as it came.
    An event without `event_id` gets one from its content, so that a second run adds nothing.
    """
    if not rows:
        return Checked(EVENTS.empty_table(), quarantine_table((), source=source, received=now), [])
    settings = settings or EventSettings()
    faults: dict[int, Fault] = {}
    parsers = _parsers(frozenset(settings.kinds), live)
    columns = parse_columns(rows, parsers, faults, always=("kind",))
    columns |= parse_extras(rows, _KNOWN[live], "properties", faults)
    _cross_check(columns, len(rows), settings, faults)
    _set_clocks(columns, faults, now=micros(now), settings=settings, live=live)
    keep = [index not in faults for index in range(len(rows))]
    _derive_ids(columns, keep)
    bad = sorted(faults.items())
    broken = [
        Broken("events", lines[i] if lines else i + 1, f, payloads[i] if payloads else rows[i])
        for i, f in bad
    ]
    return Checked(
        to_table(EVENTS, columns, keep),
        quarantine_table(broken, source=source, received=now),
        [RowError(i, _id_of(rows[i]), f.field, f.reason, f.detail) for i, f in bad],
    )


@lru_cache(maxsize=16)
def _parsers(own: frozenset[str], live: bool) -> Mapping[str, Parse]:
    """Return the parser of each field, in the order in which faults are told; `own`: more kinds."""
    person = cells.Id(cells.NO_LIVE_PERSON if live else cells.NO_PERSON)
    plain = cells.Text(cells.MAX_ID)
    clocks = ("time", "sent_at") if live else _CLOCKS
    return {
        "event_id": cells.Id(),
        "kind": cells.kind({*KINDS, *own}),
        "user_id": person,
        "visitor_id": person,
        "item_id": cells.Id(),
        **dict.fromkeys(clocks, parse_time),
        "value": cells.number,
        "quantity": cells.whole(1, cells.MAX_QUANTITY, "bad-quantity"),
        "price": cells.money,
        "currency": cells.currency,
        "position": cells.whole(0, 2**31 - 1),
        "propensity": cells.propensity,
        "query": cells.Text(4096),
        **dict.fromkeys(("session_id", "variant_id", "order_id", "request_id"), plain),
        **dict.fromkeys(("placement", "consent", "domain"), plain),
    }


def _cross_check(
    columns: Columns, size: int, settings: EventSettings, faults: dict[int, Fault]
) -> None:
    """Apply the rules that concern several fields."""
    nothing = [None] * size
    users, visitors = (columns.get(name) or nothing for name in ("user_id", "visitor_id"))
    if None in users:
        for index, (user, visitor) in enumerate(zip(users, visitors, strict=True)):
            if user is None and visitor is None:
                detail = "Neither user_id nor visitor_id is given."
                faults.setdefault(index, Fault("missing-actor", detail, "user_id"))
    kinds = columns["kind"]
    items = columns.get("item_id") or nothing
    if None in items:
        item_kinds = _kinds_that_need_item(settings)
        for index, (kind, item) in enumerate(zip(kinds, items, strict=True)):
            if item is None and kind in item_kinds:
                detail = f"An event of kind {kind!r} needs an item_id."
                faults.setdefault(index, Fault("missing-item", detail, "item_id"))
    values = columns.get("value") or nothing
    if not _VALUE_KINDS.isdisjoint(kinds):
        for index, (kind, value) in enumerate(zip(kinds, values, strict=True)):
            if value is None and kind in _VALUE_KINDS:
                detail = f"An event of kind {kind!r} needs a value."
                faults.setdefault(index, Fault("missing-value", detail, "value"))


def _kinds_that_need_item(settings: EventSettings) -> Collection[str]:
    """Return kinds that say nothing without an item: of one's own, those with a weight."""
    own = {name for name, weight in settings.kinds.items() if weight and name not in KINDS}
    return own | {name for name, kind in KINDS.items() if kind.needs_item}


def _set_clocks(
    columns: Columns,
    faults: dict[int, Fault],
    *,
    now: int,
    settings: EventSettings,
    live: bool,
) -> None:
    """Set `time`, `original` and `received` (µs) and refuse times that cannot be."""
    nothing = [None] * len(columns["kind"])
    time, sent, received, original = (
        columns.get(name) or nothing for name in ("time", "sent_at", "received", "original")
    )
    latest = now + int(settings.future_hours * _HOUR)
    earliest = now - int(settings.browser_age_days * _DAY) if live else 0
    if live and time is nothing:  # it happens now
        columns |= {"time": [now] * len(time), "original": nothing, "received": [now] * len(time)}
        return
    if any(value is not None for value in sent) or live:
        time, original = _corrected(time, sent, received, original, now if live else None)
    columns["time"] = time
    columns["original"] = original
    columns["received"] = [now if us is None else us for us in received]
    for index, us in enumerate(time):
        if us is None:
            faults.setdefault(
                index, Fault("missing-time", "The event does not say when it happened.", "time")
            )
        elif type(us) is int and not earliest <= us <= latest:
            faults.setdefault(index, _clock_fault(us, latest, now))


def _corrected(
    time: Sequence[Any],
    sent: Sequence[Any],
    received: Sequence[Any],
    original: Sequence[Any],
    now: int | None,
) -> tuple[list[Any], list[Any]]:
    """Return corrected times and what the client's clock said; `now` is None for files."""
    times, originals = [], []
    for at, left, came, said in zip(time, sent, received, original, strict=True):
        arrived = came if now is None else now
        if at is None:
            times.append(now)
            originals.append(said)
        elif said is None and type(at) is type(left) is type(arrived) is int:
            times.append(arrived - (left - at))
            originals.append(at)
        else:
            times.append(at)
            originals.append(said)
    return times, originals


def _clock_fault(us: int, latest: int, now: int) -> Fault:
    when, today = (_iso(x) for x in (us, now))
    if us > latest:
        return Fault("future-time", f"time: {when} lies in the future (now {today}).", "time")
    return Fault("too-old", f"time: {when} is too old for a live event (now {today}).", "time")


def _iso(us: int) -> str:
    try:
        return moment(us).isoformat(timespec="seconds")
    except OverflowError:
        return f"{us} µs after 1970"


def _derive_ids(columns: Columns, keep: Sequence[bool]) -> None:
    """Give each good event without an id the hash of its content."""
    size = len(keep)
    ids = columns.get("event_id") or [None] * size
    if None in ids:
        nothing = [None] * size
        parts = [columns.get(name) or nothing for name in _HASHED]
        said = zip(columns["original"], columns["time"], strict=True)
        moments = [time if original is None else original for original, time in said]
        encode = msgspec.json.Encoder(decimal_format="string").encode
        ids = [
            blake2b(encode(content), digest_size=16).hexdigest()
            if given is None and good
            else given
            for given, good, content in zip(
                ids, keep, zip(moments, *parts, strict=True), strict=True
            )
        ]
    columns["event_id"] = ids


def _id_of(row: Mapping[str, Any]) -> str | None:
    given = row.get("event_id")
    return given if isinstance(given, str) and given else None

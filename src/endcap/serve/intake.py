"""From the bytes of a request to rows that can be stored and rows that cannot.

Each row of a batch is decoded by itself, so that one that is broken in any way, down to its
bytes, never sinks the others.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa

from endcap.events.store import Receipt
from endcap.events.validate import (
    Broken,
    Fault,
    RowError,
    check,
    check_items,
    check_users,
    quarantine_table,
)
from endcap.schema.settings import EventSettings
from endcap.schema.tables import ITEMS, PATCHES

MAX_ROWS: Final = 1000
Rows = Sequence[Mapping[str, Any]]
Judged = tuple[pa.Table, pa.Table, list[RowError]]
"""Good rows, quarantined rows, and why."""


class Context(NamedTuple):
    """What validation needs to know beside the rows."""

    now: datetime
    source: str
    settings: EventSettings


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of rows that clients send.

    Attributes
    ----------
    table
        ``events``, ``items`` or ``users``; the batch has its rows under this name.
    max_bytes
        A larger row is refused and not kept.
    judge
        Validates decoded rows, given their 1-based places and what arrived.
    """

    table: str
    max_bytes: int
    judge: Callable[[Rows, Sequence[int], Sequence[str], Context], Judged]

    @property
    def envelope(self) -> type[msgspec.Struct]:
        """The type of a batch whose rows are still bytes."""
        return _ENVELOPES[self.table]

    @property
    def sound(self) -> type[msgspec.Struct]:
        """The type of a batch whose rows are all JSON objects."""
        return _SOUND[self.table]


@dataclass(frozen=True, slots=True)
class Intake:
    """A batch after validation.

    Attributes
    ----------
    rows, quarantine
        Good rows, and rows of schema `QUARANTINE`.
    errors
        One for each row that is not in `rows`, by index.
    received, rejected
        How many rows there were, and how many are kept nowhere (too large).
    """

    rows: pa.Table
    quarantine: pa.Table
    errors: list[RowError]
    received: int
    rejected: int

    def receipt(self, stored: Receipt) -> Receipt:
        """Return the receipt of the whole batch, given that of its good rows."""
        return Receipt(
            received=self.received,
            stored=stored.stored,
            duplicate=stored.duplicate,
            rejected=self.rejected + stored.rejected,
            quarantined=len(self.errors) - self.rejected,
        )


class TooManyRowsError(ValueError):
    """More than `MAX_ROWS` in one batch."""


def take_one(sort: Sort, content: bytes, context: Context) -> Intake:
    """Take a body that is a single row; its size is the caller's to judge.

    Raises
    ------
    ValueError, RecursionError
        When the body is no JSON at all; `msgspec.ValidationError` when it is no object.
    """
    return take_read(sort, [(read_one(content), content)], context)


def read_one(content: bytes) -> Mapping[str, Any]:
    """Return the row that a body is; raises as `take_one`."""
    row = _loose(content)
    if not isinstance(row, Mapping):
        raise msgspec.ValidationError(f"{_name(row)} is no JSON object.")
    return row


def take_read(
    sort: Sort, rows: Sequence[tuple[Mapping[str, Any], bytes]], context: Context
) -> Intake:
    """Take rows that were read before, each with what it was read from."""
    tray = _Tray(sort)
    for index, (row, content) in enumerate(rows):
        tray.take(index, row, content)
    return tray.judged(len(rows), None, context)


def take_batch(sort: Sort, content: bytes, context: Context) -> Intake:
    """Take a batch: ``{"events": […], "sent_at": …}``, ``{"items": […]}`` or ``{"users": […]}``.

    Raises
    ------
    ValueError, RecursionError
        When the body is no JSON at all; `msgspec.ValidationError` when it has another shape.
    TooManyRowsError
        When there are more than `MAX_ROWS`.
    """
    sound = _open_sound(sort, content)
    envelope: Any = _open(sort, content) if sound is None else sound
    count, sent_at = len(envelope.rows), getattr(envelope, "sent_at", None)
    if count > MAX_ROWS:
        raise TooManyRowsError(f"{count} {sort.table}; {MAX_ROWS} fit one batch.")
    if sound is not None:
        rows, pieces = _sent(envelope.rows, sent_at), _Pieces(sort, content, count)
        good, bad, why = sort.judge(rows, range(1, count + 1), pieces, context)
        return Intake(good, bad, why, count, 0)
    tray = _Tray(sort)
    for index, raw in enumerate(envelope.rows):
        tray.read(index, bytes(raw))
    return tray.judged(count, sent_at, context)


class UnreadableError(ValueError):
    """A row that is not even in the format that it should be in."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


def take_each(
    sort: Sort,
    pieces: Sequence[bytes],
    context: Context,
    *,
    plain: Callable[[bytes], bytes] | None = None,
) -> Intake:
    """Take rows that came each by itself, as messages do; whatever is in them, none raises.

    Parameters
    ----------
    plain
        Makes JSON of a row, or raises `UnreadableError`; None where all are JSON.
    """
    tray = _Tray(sort)
    for index, piece in enumerate(pieces):
        try:
            content = plain(piece) if plain else piece
        except UnreadableError as error:
            tray.refuse(index, error.fault, piece)
        else:
            tray.read(index, content)
    return tray.judged(len(pieces), None, context)


@dataclass(slots=True)
class _Tray:
    """Decoded rows, and what could not be decoded, with their places."""

    sort: Sort
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    payloads: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    rejected: int = 0

    def read(self, index: int, piece: bytes) -> None:
        if len(piece) > self.sort.max_bytes:
            self.reject(index, len(piece))
            return
        try:
            row = _loose(piece)
        except (ValueError, RecursionError) as error:
            self.refuse(index, Fault("bad-json", f"The row is no JSON: {error}."), piece)
        else:
            self.take(index, row, piece)

    def take(self, index: int, row: Any, piece: bytes) -> None:
        if isinstance(row, Mapping):
            self.rows.append(row)
            self.payloads.append(_text(piece))
            self.places.append(index)
        else:
            self.refuse(index, Fault("wrong-type", f"{_name(row)} is no JSON object."), piece)

    def refuse(self, index: int, fault: Fault, piece: bytes) -> None:
        self.broken.append(Broken(self.sort.table, index + 1, fault, _text(piece)))
        self.errors.append(RowError(index, None, fault.field, fault.reason, fault.detail))

    def reject(self, index: int, size: int) -> None:
        most = self.sort.max_bytes
        detail = f"{size} bytes; {most} are allowed for one row. It is not kept."
        self.errors.append(RowError(index, None, "", "row-too-large", detail))
        self.rejected += 1

    def judged(self, received: int, sent_at: Any, context: Context) -> Intake:
        rows = _sent(self.rows, sent_at)
        lines = [place + 1 for place in self.places]
        good, bad, why = self.sort.judge(rows, lines, self.payloads, context)
        errors = [replace(error, index=self.places[error.index]) for error in why]
        if self.broken:
            unread = quarantine_table(self.broken, source=context.source, received=context.now)
            bad = pa.concat_tables([bad, unread])
        return Intake(
            good,
            bad,
            sorted([*errors, *self.errors], key=lambda error: error.index),
            received,
            self.rejected,
        )


def _sent(rows: Rows, sent_at: Any) -> Rows:
    """Return rows that say when they were sent, where their batch does."""
    return rows if sent_at is None else [{"sent_at": sent_at, **row} for row in rows]


class _Pieces(Sequence[str]):
    """What the rows of a batch were read from; taken apart once somebody asks."""

    def __init__(self, sort: Sort, content: bytes, count: int) -> None:
        self._sort, self._content, self._count = sort, content, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        return _text(bytes(self._raw[index]))

    @cached_property
    def _raw(self) -> list[msgspec.Raw]:
        rows: list[msgspec.Raw] = _open(self._sort, self._content).rows
        return rows


def _open_sound(sort: Sort, content: bytes) -> Any:
    """Open a batch with all its rows at once; None where one is broken or too large."""
    try:
        if len(content) > sort.max_bytes:
            raw: Any = msgspec.json.decode(content, type=sort.envelope)
            if any(len(bytes(row)) > sort.max_bytes for row in raw.rows):
                return None
        return msgspec.json.decode(content, type=sort.sound)
    except (ValueError, RecursionError):
        return None


def _open(sort: Sort, content: bytes) -> Any:
    """Open a batch; what strict JSON forbids (NaN, half characters) is left to its row."""
    try:
        return msgspec.json.decode(content, type=sort.envelope)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        tree = json.loads(content)
        if isinstance(tree, dict) and isinstance(tree.get(sort.table), list):
            rows = [msgspec.Raw(json.dumps(row)) for row in tree[sort.table]]
            tree[sort.table] = rows
        return msgspec.convert(tree, sort.envelope)


def _loose(piece: bytes) -> Any:
    """Decode one row, also where it holds what programs write but JSON forbids (NaN)."""
    try:
        return msgspec.json.decode(piece)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(piece)


def _text(piece: bytes) -> str:
    return piece.decode(errors="backslashreplace")


def _name(value: Any) -> str:
    names = {str: "A text", bool: "A truth value", list: "A list", type(None): "Null"}
    return names.get(type(value), "A number")


def _judge_events(
    rows: Rows, lines: Sequence[int], payloads: Sequence[str], context: Context
) -> Judged:
    now, source, settings = context
    done = check(
        rows, now=now, settings=settings, live=True, source=source, lines=lines, payloads=payloads
    )
    return done.events, done.quarantine, done.errors


def _judge_items(
    rows: Rows, lines: Sequence[int], payloads: Sequence[str], context: Context
) -> Judged:
    now, source, _ = context
    done = check_items(rows, now=now, source=source, lines=lines, payloads=payloads)
    return done.items, done.quarantine, done.errors


def _judge_users(
    rows: Rows, lines: Sequence[int], payloads: Sequence[str], context: Context
) -> Judged:
    now, source, _ = context
    done = check_users(rows, now=now, source=source, lines=lines, payloads=payloads)
    return done.users, done.quarantine, done.errors


def _judge_patches(
    rows: Rows, lines: Sequence[int], payloads: Sequence[str], context: Context
) -> Judged:
    """Validate changes of items as items; what each gives, and where it came from, goes along."""
    now, source, _ = context
    done = check_items(rows, now=now, source=source, lines=lines, payloads=payloads)
    bad = {error.index for error in done.errors}
    good = [index for index in range(len(rows)) if index not in bad]
    more = {
        "given": [_given(rows[index]) for index in good],
        "line": [lines[index] for index in good],
        "payload": [payloads[index] for index in good],
    }
    columns = [*done.items.columns, *(pa.array(more[f.name], f.type) for f in list(PATCHES)[-3:])]
    return pa.table(columns, schema=PATCHES), done.quarantine, done.errors


def _given(row: Mapping[str, Any]) -> list[str]:
    """Return the fields of an item that a row gives: what no field is called is an attribute."""
    return sorted({name if name in ITEMS.names else "attributes" for name in row} - {"item_id"})


_Time = str | int | float | None


def _envelopes(row: Any) -> dict[str, type[msgspec.Struct]]:
    """Return the types of batches whose rows are decoded as `row`."""
    return {
        table: msgspec.defstruct(
            f"{table.capitalize()}Envelope",
            [("rows", list[row], msgspec.field(name=table)), *more],
            forbid_unknown_fields=True,
        )
        for table, more in (
            ("events", [("sent_at", _Time, None)]),
            ("items", []),
            ("users", []),
        )
    }


_ENVELOPES: Final = _envelopes(msgspec.Raw)
_SOUND: Final = _envelopes(dict[str, Any])
EVENT_ROWS: Final = Sort("events", 32_768, _judge_events)
ITEM_ROWS: Final = Sort("items", 131_072, _judge_items)
PATCH_ROWS: Final = Sort("items", 131_072, _judge_patches)
USER_ROWS: Final = Sort("users", 32_768, _judge_users)

"""The contract of a store: event log, catalogue, quarantine and what must survive with them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, fields
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of rows: ``received = stored + duplicate + rejected + quarantined``.

    Attributes
    ----------
    received
        Rows handed in.
    stored
        Rows that are now on disk (fsynced) and were not there before.
    duplicate
        Rows whose `event_id` the log already has; nothing changed.
    rejected
        Rows refused and not kept (queue full, disk full): the caller still has them.
    quarantined
        Rows that failed validation, kept with their reason.
    """

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    quarantined: int = 0

    def __add__(self, other: "Receipt") -> "Receipt":
        return Receipt(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def balanced(self) -> bool:
        """Whether the sum law holds."""
        return self.received == self.stored + self.duplicate + self.rejected + self.quarantined


def receipt_of(new: Sequence[bool]) -> Receipt:
    """Return the receipt of rows, given of each whether it was new."""
    stored = sum(new)
    return Receipt(received=len(new), stored=stored, duplicate=len(new) - stored)


class Patched(NamedTuple):
    """What became of changes to items.

    Attributes
    ----------
    receipt
        Of those whose item is there.
    missing
        Places among the changes of those whose item is not.
    """

    receipt: Receipt
    missing: list[int]


class Erased(NamedTuple):
    """How many rows about some people were removed."""

    events: int = 0
    slates: int = 0
    users: int = 0
    aliases: int = 0
    quarantined: int = 0
    answers: int = 0


class Remembered(NamedTuple):
    """The answer given to an `Idempotency-Key`, replayed when the key comes again."""

    body_hash: str
    status: int
    answer: bytes


Deed = tuple[str, str, int, float]
"""An event of a history: item id, kind, time in UTC microseconds, stars or NaN."""


class Written(NamedTuple):
    """One version of a document; versions of a name count from 1.

    Attributes
    ----------
    body
        Its text; None where this version deleted it.
    written
        UTC microseconds.
    """

    name: str
    version: int
    body: str | None
    written: int


class Answered(NamedTuple):
    """One slate as it was answered.

    Attributes
    ----------
    request_id
        Names it.
    time
        When, UTC microseconds.
    actor
        For whom, as `schema.actors` makes it; None for nobody in particular.
    record
        What is needed to answer again; see `recommend.replaying`.
    """

    request_id: str
    time: int
    actor: str | None
    record: bytes


@runtime_checkable
class Slates(Protocol):
    """What was answered, for as long as it can be replayed."""

    def put(self, answered: Sequence[Answered]) -> None:
        """Keep slates, durably; one that is there stays."""

    def get(self, request_id: str) -> Answered | None:
        """Return a slate, None where there is none of that id."""

    def prune(self, before: datetime) -> int:
        """Forget what was answered before a moment; return how many slates that were.

        What the catalogue was before then can no longer be asked either.
        """


@runtime_checkable
class Parcels(Protocol):
    """Bytes of any length, which whoever shares the store hands to the others."""

    def put(self, name: str, parts: Iterable[bytes]) -> None:
        """Keep the parts, at least one, each durably; what was there under the name is replaced."""

    def get(self, name: str) -> Iterator[bytes]:
        """Yield the parts; nothing where there is no such parcel."""

    def names(self, prefix: str = "") -> list[str]:
        """Return the names that begin so, sorted."""

    def delete(self, name: str) -> None:
        """Forget a parcel, if it is there."""


@runtime_checkable
class Documents(Protocol):
    """Small texts that people decide on (what the places of the shop do), each with its history."""

    def write(self, name: str, body: str | None, expected: int | None = None) -> Written:
        """Add a version, durably; a body of None deletes.

        Raises
        ------
        ConflictError
            When `expected` is given and is not the version that is there (0: none yet).
        """

    def latest(self, prefix: str = "") -> dict[str, Written]:
        """Return the last version of each name that begins so, deleted ones included."""

    def history(self, name: str) -> list[Written]:
        """Return all versions, newest first."""


@runtime_checkable
class EventLog(Protocol):
    """Append-only, idempotent by `event_id`; acknowledged means fsynced.

    Stability: implementer (SQLite now; PostgreSQL implements the same contract suite).
    """

    def submit(
        self,
        events: pa.Table,
        *,
        key: str = "",
        remember: Callable[[Receipt], Remembered] | None = None,
    ) -> "Future[Receipt]":
        """Queue validated rows of schema `EVENTS`; the future resolves once they are durable.

        What `remember` makes of the receipt is kept under the idempotency `key` in the same
        transaction, for the answer names what was stored; `events` may be empty.

        Raises
        ------
        BusyError
            At once, when the queue is full. Nothing of the batch is stored.
        StoreFullError, StoreReadOnlyError
            Through the future; nothing of the batch is stored.
        """

    def submit_each(self, events: pa.Table) -> "Future[list[bool]]":
        """Queue rows as `submit` does; the future tells of each row whether it was new.

        Of rows with the same `event_id` the first one is.

        Raises
        ------
        BusyError, StoreFullError, StoreReadOnlyError
            As `submit`; nothing of the rows is stored.
        """

    def append(self, events: pa.Table) -> Receipt:
        """`submit` and wait."""

    def scan(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        kinds: Sequence[str] | None = None,
        actor: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield events with ``since <= time < until`` of the given kinds (and actor), by time.

        With `columns`, only those of each; in the order of `EVENTS` in any case.
        """

    def history(self, actor: str, kinds: Sequence[str]) -> list[Deed]:
        """Return the events of an actor and of some kinds that name an item, by time.

        What `scan` says of them in a few values: a request waits for it.
        """

    def count(self) -> int:
        """Return the number of stored events."""

    def newest(self) -> int:
        """Return the position of the event stored last, 0 where there is none.

        Positions grow in the order in which events became durable.
        """

    def tail(
        self, after: int, until: int, kinds: Sequence[str] | None = None
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield what was stored after one position, up to and with another, as it was stored.

        Each batch comes with the position of its last event: whoever goes on from there misses
        nothing and reads nothing twice.
        """


@runtime_checkable
class Catalogue(Protocol):
    """Items and users: the last row of an id wins."""

    def upsert_items(self, items: pa.Table) -> Receipt:
        """Insert or replace rows of schema `ITEMS`, durably; unchanged rows are `duplicate`."""

    def patch_items(self, patches: pa.Table) -> Patched:
        """Change the fields given of items that are there, in one transaction, durably.

        Parameters
        ----------
        patches
            Schema `PATCHES`. Objects (attributes, relations) gain or replace the keys given.
        """

    def delete_items(self, item_ids: Sequence[str]) -> int:
        """Remove items; return how many were there."""

    def items(self, item_ids: Sequence[str] | None = None) -> pa.Table:
        """Return rows of schema `ITEMS`, all or those asked for, ordered by id."""

    def position(self) -> int:
        """Return a number that grows with every change of an item."""

    def changed(self, after: int) -> list[str]:
        """Return the items that changed after a position, as far back as `items_at`."""

    def items_at(self, position: int) -> pa.Table:
        """Return the items as they were at a position, schema `ITEMS`, ordered by id.

        As far back as `Slates.prune` has left it.
        """

    def upsert_users(self, users: pa.Table) -> Receipt:
        """Insert or replace rows of schema `USERS`, durably."""

    def users(self, user_ids: Sequence[str] | None = None) -> pa.Table:
        """Return rows of schema `USERS`, ordered by id."""


@runtime_checkable
class Quarantine(Protocol):
    """What failed validation, kept whole with its reason."""

    def put(self, rows: pa.Table) -> Receipt:
        """Keep rows of schema `QUARANTINE`, durably; rows already kept count as `duplicate`."""

    def rows(self, limit: int = 1000, offset: int = 0) -> pa.Table:
        """Return quarantined rows, newest first."""

    def reasons(self) -> dict[str, int]:
        """Return the number of rows for each reason."""


@runtime_checkable
class Store(Protocol):
    """One place that holds everything a shop must not lose.

    Stability: implementer.
    """

    log: EventLog
    catalogue: Catalogue
    quarantine: Quarantine
    documents: Documents
    slates: Slates
    parcels: Parcels

    def alias(self, visitor_id: str, user_id: str) -> None:
        """Say, durably, that a visitor is this user: their events become the user's."""

    def aliases(self, people: Sequence[str] | None = None) -> dict[str, str]:
        """Return visitor_id -> user_id: all, or those of the users who some actors are."""

    def erase(self, people: Sequence[str]) -> Erased:
        """Remove, durably, all that is stored of some actors (a user and their visitors).

        Events, slates, attributes, aliases, and what names them in the quarantine and among the
        answers kept for idempotency keys.
        """

    def recall(self, key: str) -> Remembered | None:
        """Return what was answered under an idempotency key, for at least 24 hours."""

    def reserve(self, key: str) -> bool:
        """Reserve an idempotency key; return whether nobody else who shares the place has it.

        Until `release`, or until this process is no more.
        """

    def release(self, key: str) -> None:
        """Let others have a key that was reserved."""

    def healthy(self) -> tuple[bool, str]:
        """Return whether the store takes writes, and why not."""

    def close(self) -> None:
        """Finish what is queued and let go of the files."""

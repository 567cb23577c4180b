"""A store in memory, and what an import leaves in it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from endcap.events.importer import ImportSummary, import_paths
from endcap.events.store import Receipt

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SAMPLES = Path(__file__).parents[1] / "data" / "dialects"

Row = dict[str, Any]


@dataclass
class Shelf:
    """Keeps rows by key; the first of a key stays, or the last where `replaces`."""

    key: str
    replaces: bool = False
    kept: dict[str, Row] = field(default_factory=dict)

    def take(self, table: pa.Table) -> Receipt:
        stored = 0
        for row in table.to_pylist():
            old = self.kept.get(row[self.key])
            if old is None or (self.replaces and old != row):
                self.kept[row[self.key]] = row
                stored += 1
        return Receipt(table.num_rows, stored=stored, duplicate=table.num_rows - stored)


class ListStore:
    """As much of a `Store` as an import needs."""

    def __init__(self) -> None:
        self.events, self.items_ = Shelf("event_id"), Shelf("item_id", replaces=True)
        self.users_, self.bad = Shelf("user_id", replaces=True), Shelf("payload_hash")
        self.log = self.catalogue = self.quarantine = self

    def submit(self, events: pa.Table) -> "Future[Receipt]":
        future: Future[Receipt] = Future()
        future.set_result(self.events.take(events))
        return future

    def upsert_items(self, items: pa.Table) -> Receipt:
        return self.items_.take(items)

    def upsert_users(self, users: pa.Table) -> Receipt:
        return self.users_.take(users)

    def put(self, rows: pa.Table) -> Receipt:
        got = self.bad.take(rows)
        return Receipt(got.received, quarantined=got.stored, duplicate=got.duplicate)


@dataclass
class Collected:
    """Rows without nulls and without what depends on the clock, by key."""

    events: dict[str, Row]
    items: dict[str, Row]
    users: dict[str, Row]
    bad: list[Row]
    summary: ImportSummary

    @property
    def contents(self) -> tuple[dict[str, Row], ...]:
        return self.events, self.items, self.users


def collect(*paths: Path, dialect: str | None = None, store: ListStore | None = None) -> Collected:
    """Import into memory and check the sum law."""
    store = store or ListStore()
    summary = import_paths(paths, store=store, dialect=dialect, now=NOW)  # type: ignore[arg-type]
    assert all(receipt.balanced for receipt in summary.receipts.values())
    assert summary.total.received == sum(report.rows for report in summary.files)
    return Collected(
        _bare(store.events),
        _bare(store.items_),
        _bare(store.users_),
        list(store.bad.kept.values()),
        summary,
    )


def _bare(shelf: Shelf) -> dict[str, Row]:
    return {key: filled(row) for key, row in shelf.kept.items()}


def filled(row: Row) -> Row:
    """Return a row without nulls and without `received`."""
    return {k: v for k, v in row.items() if v is not None and k != "received"}


def rows_of(collected: Collected) -> Iterator[Row]:
    """Yield all good rows of all tables."""
    for table in collected.contents:
        yield from table.values()


def without(row: Row, *names: str) -> Row:
    return {key: value for key, value in row.items() if key not in names}


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def write(path: Path, lines: Sequence[bytes]) -> Path:
    path.write_bytes(b"".join(lines))
    return path

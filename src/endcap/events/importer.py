"""Import files: guess, read, validate, store; running it twice adds nothing."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from endcap.events.dialects.base import Dialect, Record, Skip
from endcap.events.guess import SURE_ENOUGH, Guess, Renaming, dialect_named, files_of, guess
from endcap.events.reading import Source
from endcap.events.store import Receipt, Store
from endcap.events.validate import Broken, Fault, check, check_items, check_users, quarantine_table
from endcap.schema.errors import BusyError, DataError
from endcap.schema.progress import Progress, silent
from endcap.schema.settings import EventSettings

BATCH: Final = 10_000
_IN_FLIGHT: Final = 4
"""Batches that may wait for their commit while the next is read."""


@dataclass(slots=True)
class FileReport:
    """What became of one file.

    Attributes
    ----------
    dialect, confidence, encoding
        How it was read; `dialect` is empty when the file was skipped.
    rows
        Records found for our tables, good and bad.
    skipped
        Records of kinds that say nothing about taste, counted by what they are.
    problem
        Why it was skipped, or could not be read to the end; empty when all is well.
    unknown
        Columns without a field of their own: kept in ``properties`` or ``attributes``.
    """

    path: Path
    dialect: str = ""
    confidence: float = 0.0
    encoding: str = ""
    rows: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    problem: str = ""
    unknown: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ReasonCount:
    """How often a reason occurred, and where first (``file:line``) with its sentence."""

    count: int
    first: str
    detail: str


@dataclass(slots=True)
class ImportSummary:
    """What an import did.

    Attributes
    ----------
    receipts
        For ``events``, ``items`` and ``users``; the sum law holds in each.
    reasons
        Why rows went to quarantine.
    kinds
        Valid events of each kind, those already stored included.
    first, last
        Range of the times of valid events.
    """

    files: list[FileReport] = field(default_factory=list)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    reasons: dict[str, ReasonCount] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None
    seconds: float = 0.0

    @property
    def total(self) -> Receipt:
        """The sum over the tables."""
        return sum(self.receipts.values(), Receipt())


def import_paths(
    paths: Sequence[Path],
    *,
    store: Store | None,
    settings: EventSettings | None = None,
    dialect: str | None = None,
    progress: Progress = silent,
    now: datetime | None = None,
) -> ImportSummary:
    """Read files and folders into a store.

    Everything is idempotent (events by `event_id`, which is derived from the content where a file
    has none; catalogue rows by their content), so an interrupted import is simply run again.

    Parameters
    ----------
    paths
        Files, or folders whose readable files are taken in the order of their names.
    store
        Where to; None only reads and validates (`stored` then means *would be*).
    dialect
        Name of the dialect of all files; None guesses each.
    progress
        Called with bytes read, bytes in all, and a note.
    now
        The clock; default is this machine's.

    Raises
    ------
    DataError
        When a path does not exist.
    PluginError
        When there is no dialect of that name.
    StoreError
        When the store fails; what was acknowledged is kept.
    """
    began = time.monotonic()
    settings = settings or EventSettings()
    given = dialect_named(dialect, settings.columns) if dialect else None
    sources = [(Source(path), named) for path, named in files_of(paths)]
    work = _Import(store, settings, now or datetime.now(UTC))
    total = sum(source.size for source, _ in sources)
    done = 0
    for source, named in sources:
        report = FileReport(source.path)
        work.summary.files.append(report)
        found = _choose(source, given, settings.columns, named=named, report=report)
        if found:
            report.dialect, report.confidence = found.dialect.name, found.confidence
            if isinstance(found.dialect, Renaming):
                report.unknown = found.dialect.unknown(source)
            work.read(found.dialect, source, report, _tell(progress, source, done, total, report))
        done += source.size
        progress(done, total, f"{source.path.name}: {report.problem or f'{report.rows:,} rows'}")
    work.finish()
    work.summary.seconds = time.monotonic() - began
    return work.summary


def _choose(
    source: Source,
    given: Dialect | None,
    columns: Mapping[str, str],
    *,
    named: bool,
    report: FileReport,
) -> Guess | None:
    """Return how to read the file; a dialect that was asked for is used on every named file."""
    if source.size == 0:
        report.problem = "the file is empty"
        return None
    found = Guess(given, given.recognise(source)) if given else guess(source, columns)
    if found is None or (given and not named and found.confidence < SURE_ENOUGH):
        report.problem = "of no known dialect"
        return None
    return found


def _tell(
    progress: Progress, source: Source, done: int, total: int, report: FileReport
) -> Callable[[], None]:
    def tell() -> None:
        at = done + min(source.consumed, source.size)
        progress(at, total, f"{source.path.name}: {report.rows:,} rows")

    return tell


class _Import:
    """The state of one import: what waits to be validated and what waits to be durable."""

    def __init__(self, store: Store | None, settings: EventSettings, now: datetime) -> None:
        self.store, self.settings, self.now = store, settings, now
        self.summary = ImportSummary()
        self._waiting: dict[str, list[Record]] = {"events": [], "items": [], "users": []}
        self._pending: deque[Future[Receipt]] = deque()

    def read(
        self, dialect: Dialect, source: Source, report: FileReport, tell: Callable[[], None]
    ) -> None:
        """Take in one file."""
        try:
            for records in _batched(dialect.read(source), self._waiting, report.skipped):
                report.rows += len(records)
                self._flush(source, records)
                tell()
        except DataError as error:
            report.problem = str(error)
        for table, records in self._waiting.items():
            report.rows += len(records)
            self._flush(source, records)
            self._waiting[table] = []
        report.encoding = source.spoken

    def finish(self) -> None:
        """Wait until everything is durable."""
        while self._pending:
            self._settle()

    def _flush(self, source: Source, records: Sequence[Record]) -> None:
        """Validate a batch of one table and hand it to the store."""
        if not records:
            return
        table, place = records[0].table, str(source.path)
        good = [record for record in records if type(record.row) is not Fault]
        faults = [r for r in records if type(r.row) is Fault]
        broken = [Broken(table, r.line, r.row, r.raw) for r in faults if isinstance(r.row, Fault)]
        unread = quarantine_table(broken, source=place, received=self.now)
        if good:
            self._check(table, good, place)
        self._quarantine(table, unread)

    def _check(self, table: str, records: Sequence[Record], place: str) -> None:
        rows: list[Any] = [record.row for record in records]
        given: dict[str, Any] = {
            "now": self.now,
            "source": place,
            "lines": [record.line for record in records],
            "payloads": [record.raw for record in records],
        }
        if table == "events":
            events = check(rows, settings=self.settings, live=False, **given)
            self._quarantine(table, events.quarantine)
            self._submit(events.events)
        elif table == "items":
            items = check_items(rows, **given)
            self._quarantine(table, items.quarantine)
            self._add(table, self._upsert(items.items, lambda s: s.catalogue.upsert_items))
        else:
            users = check_users(rows, **given)
            self._quarantine(table, users.quarantine)
            self._add(table, self._upsert(users.users, lambda s: s.catalogue.upsert_users))

    def _upsert(
        self, rows: pa.Table, method: Callable[[Store], Callable[[pa.Table], Receipt]]
    ) -> Receipt:
        if self.store is None or not rows.num_rows:
            return Receipt(received=rows.num_rows, stored=rows.num_rows)
        return method(self.store)(rows)

    def _submit(self, events: pa.Table) -> None:
        """Queue valid events; while the queue is full, wait for what is before them."""
        self._describe(events)
        if self.store is None or not events.num_rows:
            self._add("events", Receipt(received=events.num_rows, stored=events.num_rows))
            return
        while len(self._pending) >= _IN_FLIGHT:
            self._settle()
        while True:
            try:
                self._pending.append(self.store.log.submit(events))
                return
            except BusyError as busy:
                if self._pending:
                    self._settle()
                else:
                    time.sleep(busy.retry_after)

    def _settle(self) -> None:
        self._add("events", self._pending.popleft().result())

    def _quarantine(self, table: str, rows: pa.Table) -> None:
        if not rows.num_rows:
            return
        for row in rows.select(["reason", "source", "line", "detail"]).to_pylist():
            seen = self.summary.reasons.get(row["reason"])
            if seen:
                seen.count += 1
            else:
                first = f"{row['source']}:{row['line']}"
                self.summary.reasons[row["reason"]] = ReasonCount(1, first, row["detail"])
        size = rows.num_rows
        kept = self.store.quarantine.put(rows) if self.store else Receipt(size, quarantined=size)
        # A bad row that was kept before is a duplicate; either way it is safe and accounted for.
        fresh = kept.stored + kept.quarantined
        self._add(table, Receipt(size, quarantined=fresh, duplicate=size - fresh))

    def _add(self, table: str, receipt: Receipt) -> None:
        self.summary.receipts[table] = self.summary.receipts.get(table, Receipt()) + receipt

    def _describe(self, events: pa.Table) -> None:
        """Note the kinds and the range of times."""
        if not events.num_rows:
            return
        summary = self.summary
        for entry in pc.value_counts(events["kind"]).to_pylist():
            summary.kinds[entry["values"]] = summary.kinds.get(entry["values"], 0) + entry["counts"]
        ends = pc.min_max(events["time"]).as_py()
        summary.first = min(filter(None, (summary.first, ends["min"])))
        summary.last = max(filter(None, (summary.last, ends["max"])))


def _batched(
    records: Iterable[Record], waiting: dict[str, list[Record]], skipped: dict[str, int]
) -> Iterator[list[Record]]:
    """Yield full batches of one table each; what is left over stays in `waiting`."""
    for record in records:
        if type(record.row) is Skip:
            skipped[record.row.what] = skipped.get(record.row.what, 0) + 1
            continue
        batch = waiting[record.table]
        batch.append(record)
        if len(batch) >= BATCH:
            waiting[record.table] = []
            yield batch

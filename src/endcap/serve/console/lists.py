"""The rows of the catalogue's page and of the events' page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from endcap.events.store import Catalogue, EventLog, Quarantine
from endcap.recommend.state import State
from endcap.schema.actors import actor
from endcap.schema.tables import AVAILABILITIES
from endcap.serve.console.cards import Product, product
from endcap.serve.console.tiles import calm

PER_PAGE: Final = 50
KEEP_SECONDS: Final = 5.0
NEWEST: Final = 50
_FIRST_WINDOW: Final = timedelta(hours=1)
_SHOWN: Final = (
    "item_id", "title", "categories", "price", "sale_price", "currency", "availability", "image",
    "url",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One line of the catalogue."""

    product: Product
    sold: int
    availability: str


class Shelves:
    """The catalogue's table, read at most every `KEEP_SECONDS`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._lock = Lock()
        self._table: pa.Table | None = None
        self._at = float("-inf")

    def find(self, text: str, offset: int, sold: Mapping[str, int]) -> tuple[list[ItemRow], int]:
        """Return a page of the items whose title or id contains `text`, and how many there are."""
        table = self._read()
        wanted = text.strip()
        if wanted:
            titles = pc.fill_null(table["title"], "")
            hit = [
                pc.match_substring(column, wanted, ignore_case=True)
                for column in (titles, table["item_id"])
            ]
            table = table.filter(pc.or_(*hit))
        rows = table.slice(offset, PER_PAGE).to_pylist()
        return [_item_row(row, sold) for row in rows], table.num_rows

    def _read(self) -> pa.Table:
        with self._lock:
            if self._table is None or monotonic() - self._at > KEEP_SECONDS:
                self._table = self._catalogue.items().select(list(_SHOWN))
                self._at = monotonic()
            return self._table


def _item_row(row: Mapping[str, Any], sold: Mapping[str, int]) -> ItemRow:
    known = row["availability"] in AVAILABILITIES
    availability = row["availability"] if known else "untold"
    return ItemRow(product(row["item_id"], row), sold.get(row["item_id"], 0), availability)


@dataclass(frozen=True, slots=True)
class EventRow:
    """One line of the log; `time` in UTC microseconds."""

    time: int
    kind: str
    actor: str | None
    item_id: str | None
    title: str


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """Why rows are in quarantine, how many, and the newest one's story."""

    code: str
    rows: int
    example: str


def newest(log: EventLog, state: State, last: int) -> list[EventRow]:
    """Return the newest events, newest first.

    Parameters
    ----------
    last
        Time of a recent event, UTC microseconds: the search starts there and widens.
    """
    table = _tail(log, datetime.fromtimestamp(last / 1e6, UTC))
    rows = table.slice(max(0, table.num_rows - NEWEST)).to_pylist()[::-1]
    facts = state.facts([row["item_id"] for row in rows if row["item_id"]])
    return [
        EventRow(
            row["time"],
            row["kind"],
            actor(row["user_id"], row["visitor_id"]),
            row["item_id"],
            calm(str(facts.get(row["item_id"] or "", {}).get("title") or row["item_id"] or "")),
        )
        for row in rows
    ]


def _tail(log: EventLog, last: datetime) -> pa.Table:
    """Read the log's end: windows eight times as wide each until there is enough, or all of it."""
    window = _FIRST_WINDOW
    while True:
        whole = window > timedelta(days=3650)
        table = _table(log, None if whole else last - window)
        if whole or table.num_rows >= NEWEST:
            return table
        window *= 8


def _table(log: EventLog, since: datetime | None) -> pa.Table:
    names = ["time", "kind", "user_id", "visitor_id", "item_id"]
    schema = pa.schema(
        [("time", pa.int64()), *((name, pa.string()) for name in names[1:])]
    )  # external ids and kinds are strings
    batches = [
        pa.table({name: batch.column(name) for name in names}).cast(schema)
        for batch in log.scan(since)
    ]
    return pa.concat_tables(batches) if batches else schema.empty_table()


def reasons(quarantine: Quarantine) -> list[ReasonRow]:
    """Return what is in quarantine by reason, most rows first."""
    counts: Sequence[tuple[str, int]] = sorted(
        quarantine.reasons().items(), key=lambda pair: (-pair[1], pair[0])
    )
    examples: dict[str, str] = {}
    for row in quarantine.rows(limit=200).select(["reason", "detail"]).to_pylist():
        examples.setdefault(row["reason"], row["detail"])
    return [ReasonRow(code, rows, examples.get(code, "")) for code, rows in counts]

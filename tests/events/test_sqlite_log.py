"""The event log against a dictionary, and the arithmetic of its receipts."""

import random
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from endcap.events.sql.answers import KEEP_SECONDS, PURGE_SECONDS
from endcap.events.sqlite import SQLiteStore, log, open_store
from endcap.events.sqlite.dialect import IMPORTED
from endcap.events.sqlite.log import SQLiteEventLog
from endcap.events.store import Receipt, Remembered
from endcap.schema.actors import actor as actor_of
from endcap.schema.settings import StoreSettings
from endcap.schema.tables import EVENTS
from endcap.testing.contracts.sample_rows import START, Row, event, events, faulty, numbered
from endcap.testing.contracts.sample_rows import quarantined as quarantine_rows
from endcap.testing.contracts.store import ids, read


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = open_store(StoreSettings(folder=tmp_path))
    yield store
    store.close()


@pytest.mark.parametrize("count", [1, 99, 100, 101, 350, IMPORTED])
def test_however_many_rows_a_statement_takes_only_new_ones_count(
    store: SQLiteStore, count: int
) -> None:
    every_third = events(*(event(n) for n in range(0, count, 3)))
    before = store.log.append(every_third)
    after = store.log.append(numbered(0, count))
    assert before.stored == after.duplicate == every_third.num_rows
    assert after.stored == count - before.stored
    assert sorted(ids(store.log.scan())) == sorted(f"e{n}" for n in range(count))


IDS = st.sampled_from([f"e{n}" for n in range(12)])
ROWS = st.builds(
    lambda name, second, user, visitor, kind: event(
        0,
        event_id=name,
        time=START + timedelta(seconds=second),
        user_id=user,
        visitor_id=visitor,
        kind=kind,
    ),
    IDS,
    st.integers(-2, 2),
    st.sampled_from([None, "u1", "u2"]),
    st.sampled_from(["v1", "u1"]),
    st.sampled_from(["view", "cart"]),
)


class LogMachine(RuleBasedStateMachine):
    """A dictionary that keeps the first row of an id is all that a log has to equal."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.settings = StoreSettings(folder=self.folder)
        self.store = open_store(self.settings)
        self.model: dict[str, Row] = {}
        self.total = Receipt()

    @rule(batch=st.lists(ROWS, max_size=6))
    def append(self, batch: list[Row]) -> None:
        new = {row["event_id"] for row in batch} - self.model.keys()
        receipt = self.store.log.append(events(*batch))
        assert receipt == Receipt(
            received=len(batch), stored=len(new), duplicate=len(batch) - len(new)
        )
        for row in batch:
            self.model.setdefault(row["event_id"], row)
        self.total += receipt

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = open_store(self.settings)

    @rule(
        window=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
        kinds=st.none() | st.lists(st.sampled_from(["view", "cart", "play"]), max_size=2),
        actor=st.sampled_from([None, "u1", "u2", "visitor:v1", "visitor:u1", "nobody"]),
    )
    def scan(self, window: tuple[int, int], kinds: list[str] | None, actor: str | None) -> None:
        since, until = (START + timedelta(seconds=n) for n in window)
        expected = [
            row
            for row in self.model.values()
            if since <= row["time"] < until
            and (kinds is None or row["kind"] in kinds)
            and (actor is None or actor_of(row["user_id"], row["visitor_id"]) == actor)
        ]
        expected.sort(key=lambda row: row["time"])  # stable: arrival breaks ties
        found = ids(self.store.log.scan(since, until, kinds, actor))
        assert found == [row["event_id"] for row in expected]

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        assert self.store.log.count() == len(self.model)
        assert self.store.counts() == self.total

    def teardown(self) -> None:
        found = {row["event_id"]: row for row in read(self.store).to_pylist()}
        assert found.keys() == self.model.keys()
        assert all(found[name].items() >= row.items() for name, row in self.model.items())
        self.store.close()
        shutil.rmtree(self.folder)


LogMachine.TestCase.settings = hypothesis_settings(
    max_examples=12, stateful_step_count=20, deadline=None
)
TestLogMachine = LogMachine.TestCase


def test_the_sum_law_is_exact_under_repeats_faults_and_threads(store: SQLiteStore) -> None:
    """Known classes in, the same numbers out: of 30,000 rows 5 % are faulty, many are repeats."""
    rng = random.Random(8)
    batches, faults = [], []
    for number in range(300):
        fresh = number * 95
        names = [f"e{fresh + n}" for n in range(85)]
        names += [f"e{rng.randrange(fresh + 85)}" for _ in range(10)]
        rng.shuffle(names)
        batches.append([event(n, event_id=name) for n, name in enumerate(names)])
        faults.append([faulty(number * 5 + n) for n in range(5)])
    with ThreadPoolExecutor(8) as pool:
        kept = pool.map(lambda rows: store.quarantine.put(quarantine_rows(*rows)), faults)
        stored = pool.map(lambda rows: store.log.append(events(*rows)), batches)
        total = sum(stored, Receipt()) + sum(kept, Receipt())
    distinct = {row["event_id"] for batch in batches for row in batch}
    assert total == Receipt(
        received=30_000,
        stored=len(distinct),
        duplicate=28_500 - len(distinct),
        quarantined=1_500,
    )
    assert total.balanced
    assert store.counts() == total
    assert store.log.count() == len(distinct)
    assert sum(store.quarantine.reasons().values()) == 1_500


def test_twin_whose_retries_carry_new_ids_counts_each(store: SQLiteStore) -> None:
    """What makes a retry free is its id: without it, a hundred sends are a hundred events."""
    for n in range(100):
        store.log.append(events(event(1, event_id=f"retry-{n}")))
    assert store.log.count() == 100


def test_pages_join_without_seam(store: SQLiteStore) -> None:
    """A log of several pages, whose pages end within runs of one time, loses and doubles none."""
    count = 2 * log.PAGE_ROWS + 7
    seconds = [n // 5000 for n in range(count)]
    random.Random(3).shuffle(seconds)
    table = numbered(0, count)
    times = pa.array([START + timedelta(seconds=s) for s in seconds], EVENTS.field("time").type)
    table = table.set_column(2, EVENTS.field("time"), times)
    store.log.append(table)
    expected = sorted(range(count), key=lambda n: seconds[n])
    assert ids(store.log.scan()) == [f"e{n}" for n in expected]


BOTH = {"events_deeds", "events_shown_to"}


@pytest.mark.parametrize(
    ("ask", "indexes"),
    [
        (lambda log: log.scan(), {"events_done", "events_shown"}),
        (lambda log: log.scan(kinds=["view"]), {"events_done"}),
        (lambda log: log.scan(kinds=["impression"]), {"events_shown"}),
        (lambda log: log.scan(kinds=["view", "impression"]), {"events_done", "events_shown"}),
        (lambda log: log.scan(actor="u1"), BOTH),
        (lambda log: log.scan(actor="u1", kinds=["view"]), {"events_deeds"}),
        (lambda log: log.history("u1", ["view", "purchase"]), {"events_deeds"}),
        (lambda log: log.history("u1", ["view", "impression"]), BOTH),
    ],
)
def test_every_question_walks_the_indexes_of_the_halves_it_asks_for_and_never_sorts(
    store: SQLiteStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[SQLiteEventLog], object],
    indexes: set[str],
) -> None:
    monkeypatch.setattr(log, "PAGE_ROWS", 40)  # so that scans ask for the rest of a time, too
    store.log.append(numbered(0, 100))
    asked: list[str] = []
    with store.log._database.readers.lend() as session:
        session.set_trace_callback(asked.append)
    asked_for = ask(store.log)
    list(asked_for)  # type: ignore[call-overload]
    database = sqlite3.connect(tmp_path / "events.db")
    used: set[str] = set()
    for sql in asked:
        if "events" in sql and "max(seq)" not in sql:
            plan = [row[-1] for row in database.execute(f"EXPLAIN QUERY PLAN {sql}")]
            assert not [step for step in plan if "TEMP B-TREE" in step], plan
            used |= {name for step in plan for name in re.findall(r"INDEX (events_\w+) ", step)}
            assert not [step for step in plan if step.startswith("SCAN events")], plan
    database.close()
    assert used == indexes


def test_halves_come_back_in_one_order(store: SQLiteStore) -> None:
    """What was shown and what was done, mixed at equal times, over page after page."""
    count = log.PAGE_ROWS + 100
    kinds = [random.Random(n).choice(["view", "impression", "purchase"]) for n in range(count)]
    table = numbered(0, count)
    times = pa.array([START + timedelta(seconds=n // 700) for n in range(count)])
    table = table.set_column(2, EVENTS.field("time"), times.cast(EVENTS.field("time").type))
    table = table.set_column(1, EVENTS.field("kind"), pa.array(kinds))
    store.log.append(table)
    assert ids(store.log.scan()) == [f"e{n}" for n in range(count)]
    for some in (["view"], ["impression"], ["impression", "purchase"]):
        expected = [f"e{n}" for n in range(count) if kinds[n] in some]
        assert ids(store.log.scan(kinds=some)) == expected


def test_answers_are_kept_two_days_and_then_purged(tmp_path: Path) -> None:
    now = [1_000_000.0]
    store = SQLiteStore(StoreSettings(folder=tmp_path), clock=lambda: now[0])

    def remember(key: str) -> None:
        answer = Remembered("hash", 202, key.encode())
        store.log.submit(events(), key=key, remember=lambda _: answer).result()

    remember("old")
    now[0] += KEEP_SECONDS - PURGE_SECONDS
    remember("young")
    assert store.recall("old") == Remembered("hash", 202, b"old")
    now[0] += 2 * PURGE_SECONDS
    remember("new")
    assert store.recall("old") is None
    assert store.recall("young") == Remembered("hash", 202, b"young")
    store.close()


def test_an_answer_that_cannot_be_made_stores_nothing(store: SQLiteStore) -> None:
    """Events and answer are one transaction: a retry then finds neither."""

    def fail(_: Receipt) -> Remembered:
        raise LookupError("no answer")

    with pytest.raises(LookupError, match="no answer"):
        store.log.submit(numbered(0, 5), key="k", remember=fail).result()
    assert store.log.count() == 0
    assert store.recall("k") is None
    assert store.counts() == Receipt(received=5, rejected=5)

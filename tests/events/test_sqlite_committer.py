"""Grouped commits: bounded, fair to each job, and honest about what failed."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from endcap.events.sql.committer import GROUP_ROWS, Committer
from endcap.events.sqlite import SQLiteStore, engine
from endcap.events.sqlite.turn import WriteTurn
from endcap.events.sqlite.writer import SQLiteWriter
from endcap.events.store import Receipt
from endcap.schema.errors import BusyError, DataError, StoreError
from endcap.schema.settings import StoreSettings
from endcap.testing.contracts.sample_rows import events, full_event, numbered


@contextmanager
def store_in(
    folder: Path, *, queue_events: int = 1000, busy_seconds: float = 30.0
) -> Iterator[SQLiteStore]:
    settings = StoreSettings(folder=folder, queue_events=queue_events)
    store = SQLiteStore(settings, busy_seconds=busy_seconds)
    yield store
    store.close()


@contextmanager
def somebody_else_writes(folder: Path) -> Iterator[None]:
    """Hold the pen, as another process would, so that nothing here can be committed."""
    turn = WriteTurn(folder, timeout=5)
    with turn.take():
        yield
    turn.close()


def test_a_full_queue_refuses_at_once_and_loses_nothing(tmp_path: Path) -> None:
    with store_in(tmp_path, queue_events=100) as store:
        with somebody_else_writes(tmp_path):
            taken = [store.log.submit(numbered(n * 10, n * 10 + 10)) for n in range(10)]
            with pytest.raises(BusyError, match="100 rows are waiting") as refusal:
                store.log.submit(numbered(100, 101))
            assert 0.1 <= refusal.value.retry_after <= 60
            assert not any(future.done() for future in taken)
            assert store.log.count() == 0
        assert sum((f.result() for f in taken), Receipt()) == Receipt(received=100, stored=100)
        assert store.log.append(numbered(100, 101)).stored == 1
        assert store.counts() == Receipt(received=102, stored=101, rejected=1)


def test_twin_with_an_endless_queue_takes_everything(tmp_path: Path) -> None:
    with store_in(tmp_path, queue_events=10**9) as store:
        with somebody_else_writes(tmp_path):
            taken = [store.log.submit(numbered(n * 10, n * 10 + 10)) for n in range(50)]
        assert sum((f.result() for f in taken), Receipt()).stored == 500


def test_a_batch_larger_than_the_queue_is_taken_when_nothing_waits(tmp_path: Path) -> None:
    with store_in(tmp_path, queue_events=10) as store:
        assert store.log.append(numbered(0, 50)).stored == 50


def test_what_queues_up_is_committed_in_groups(tmp_path: Path) -> None:
    sizes: list[int] = []

    class Watched(SQLiteWriter):
        def commit(self, works):  # type: ignore[no-untyped-def]
            sizes.append(len(works))
            return super().commit(works)

    writer = Watched(tmp_path)
    committer = Committer(writer, limit=10**6)
    with somebody_else_writes(tmp_path):
        futures = [committer.submit(lambda _: None, 1)]
        while not sizes:
            threading.Event().wait(0.001)  # the first job now waits for the pen
        futures += [committer.submit(lambda _: None, 1) for _ in range(50)]
        futures += [committer.submit(lambda _: None, GROUP_ROWS) for _ in range(2)]
    for future in futures:
        future.result(timeout=10)
    committer.close()
    writer.close()
    assert sizes == [1, 50, 1, 1]


def test_one_bad_job_does_not_take_its_group_with_it(tmp_path: Path) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO aliases VALUES ('v', 'u')")
        raise LookupError("a mistake of this job alone")

    def unfit(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO aliases VALUES ('w', NULL)")

    writer = SQLiteWriter(tmp_path)
    committer = Committer(writer, limit=100)
    with somebody_else_writes(tmp_path):
        first, bad, worse, last = (
            committer.submit(lambda c: c.execute("SELECT 1").fetchone()),
            committer.submit(broken),
            committer.submit(unfit),
            committer.submit(lambda c: c.execute("SELECT count(*) FROM aliases").fetchone()),
        )
    assert first.result() == (1,)
    with pytest.raises(LookupError, match="alone"):
        bad.result()
    with pytest.raises(DataError, match="NOT NULL"):
        worse.result()
    assert last.result() == (0,)
    assert not writer.failure
    committer.close()
    writer.close()


def test_who_stopped_waiting_stores_nothing(tmp_path: Path) -> None:
    with store_in(tmp_path) as store:
        with somebody_else_writes(tmp_path):
            store.log.submit(numbered(0, 1))
            futures = [store.log.submit(numbered(n, n + 1)) for n in range(1, 6)]
            cancelled = [future.cancel() for future in futures[2:4]]
        assert futures[-1].result().stored == 1
        assert store.log.count() == 6 - sum(cancelled)
        assert store.counts().rejected == sum(cancelled)


def test_a_pen_that_is_never_given_back_is_busy_not_forever(tmp_path: Path) -> None:
    with store_in(tmp_path, busy_seconds=0.05) as store:
        with somebody_else_writes(tmp_path), pytest.raises(BusyError, match="kept the store"):
            store.log.append(numbered(0, 1))
        assert store.log.append(numbered(0, 1)).stored == 1


def test_a_foreign_program_that_locks_the_file_is_busy_too(tmp_path: Path) -> None:
    """Such as the sqlite3 shell, which knows nothing of our locks."""
    with store_in(tmp_path, busy_seconds=0.05) as store:
        shell = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError, match="locked by another program"):
            store.log.append(numbered(0, 1))
        shell.close()
        assert store.log.append(numbered(0, 1)).stored == 1


def test_closing_does_not_wait_for_a_pen_that_never_comes(tmp_path: Path) -> None:
    with somebody_else_writes(tmp_path), pytest.raises(BusyError):
        SQLiteStore(StoreSettings(folder=tmp_path), busy_seconds=0.05)
    store = SQLiteStore(StoreSettings(folder=tmp_path), busy_seconds=0.05)
    with somebody_else_writes(tmp_path):
        store.close()
    with store_in(tmp_path) as again:
        assert again.log.count() == 0


def test_turns_cannot_be_overtaken(tmp_path: Path) -> None:
    """One writer in a tight loop, one that comes now and then: it waits for one turn at most."""
    order: list[str] = []
    waiting, done = threading.Event(), threading.Event()
    greedy, patient = WriteTurn(tmp_path, timeout=30), WriteTurn(tmp_path, timeout=30)

    def loop() -> None:
        while not done.is_set():
            with greedy.take():
                order.append("waited-for" if waiting.is_set() else "greedy")
                done.wait(0.002)  # work, during which the other takes its place

    thread = threading.Thread(target=loop)
    thread.start()
    for _ in range(20):
        waiting.set()
        with patient.take():
            waiting.clear()
            order.append("patient")
    done.set()
    thread.join()
    greedy.close()
    patient.close()
    runs = "".join(name[0] for name in order).split("p")
    assert max(run.count("w") for run in runs) <= 3


def test_reading_fails_clearly_when_the_file_is_damaged(tmp_path: Path) -> None:
    with store_in(tmp_path) as store:
        store.log.append(events(*(full_event(n, event_id=f"e{n}") for n in range(500))))
    damage(tmp_path)
    with store_in(tmp_path) as store, pytest.raises(StoreError, match="malformed"):
        list(store.log.scan())


def test_a_suspect_file_is_examined_on_opening(tmp_path: Path) -> None:
    with store_in(tmp_path) as store:
        store.log.append(events(*(full_event(n, event_id=f"e{n}") for n in range(500))))
    (tmp_path / "events.suspect").write_text("fsync failed\n")
    with store_in(tmp_path) as store:
        assert store.log.count() == 500
    assert not (tmp_path / "events.suspect").exists()
    (tmp_path / "events.suspect").write_text("fsync failed\n")
    damage(tmp_path)
    with pytest.raises(StoreError, match="is damaged"):
        SQLiteStore(StoreSettings(folder=tmp_path))
    assert (tmp_path / "events.suspect").exists()


def test_damage_met_while_writing_ends_writing(tmp_path: Path) -> None:
    with store_in(tmp_path) as store:
        store.log.append(events(*(full_event(n, event_id=f"e{n}") for n in range(500))))
    damage(tmp_path)
    with store_in(tmp_path) as store:
        more = events(*(full_event(n, event_id=f"x{n}") for n in range(500)))
        with pytest.raises(StoreError, match="SQLITE_CORRUPT"):
            store.log.append(more)
        assert store.healthy()[0] is False
        with pytest.raises(StoreError, match="SQLITE_CORRUPT"):
            store.alias("v", "u")


SCHEMA_PAGES = 32


def damage(folder: Path) -> None:
    """Overwrite every page but the first few, in which the schema is."""
    path = folder / engine.FILE_NAME
    with path.open("r+b") as file:
        size = path.stat().st_size
        assert size > 1.5 * SCHEMA_PAGES * 4096
        file.seek(SCHEMA_PAGES * 4096)
        file.write(b"\x5a" * (size - SCHEMA_PAGES * 4096))


def test_the_write_ahead_log_is_moved_into_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("endcap.events.sqlite.writer.CHECKPOINT_COMMITS", 5)
    monkeypatch.setattr("endcap.events.sqlite.writer.FIRST", 1.0)
    monkeypatch.setattr("endcap.events.sqlite.writer.STUBBORN_PAGES", 10)
    with store_in(tmp_path) as store:
        for n in range(200):
            store.log.append(numbered(n, n + 1))
        log = (tmp_path / "events.db-wal").stat().st_size
        assert log < 60 * 4096
        assert (tmp_path / "events.db").stat().st_size > 4096
        assert store.log.count() == 200


@pytest.mark.parametrize("rows", [1, 60])
def test_beside_a_server_the_write_ahead_log_stays_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """However large the groups are: after how many of them it is moved is learnt."""
    monkeypatch.setattr("endcap.events.sqlite.writer.SERVER_PAGES", 1_000)
    monkeypatch.setattr("endcap.events.sqlite.writer.FIRST", 0.005)
    with store_in(tmp_path) as store:
        for n in range(400):
            store.log.append(numbered(n * rows, (n + 1) * rows))
        assert (tmp_path / "events.db-wal").stat().st_size < 2 * 1_000 * 4096


def test_a_folder_that_cannot_be_synced_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would pass over it, and a power cut might take the whole write-ahead log."""
    with store_in(tmp_path):
        pass

    def fails(handle: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(engine.os, "fsync", fails)
        with pytest.raises(StoreError, match="Input/output"):
            SQLiteStore(StoreSettings(folder=tmp_path))
    with store_in(tmp_path) as store:
        assert store.log.append(numbered(0, 3)).stored == 3

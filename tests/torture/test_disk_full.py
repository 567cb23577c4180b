"""Promise 4: a full disk loses nothing, and writing heals by itself when space returns."""

import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from torture_rig import needs, opened, stored

from endcap.events.store import Store
from endcap.schema.errors import StoreFullError
from endcap.testing.contracts.sample_rows import event, events

pytestmark = [pytest.mark.torture, needs("mount", root=True)]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(mount)], check=True)
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def fill(store: Store, start: int = 0) -> tuple[set[str], set[str]]:
    """Store batches until no more fit; return the ids acknowledged and those refused."""
    acknowledged: set[str] = set()
    for number in range(start, start + 10_000):
        rows = [event(n, event_id=f"{number}-{n}", query="x" * 2000) for n in range(20)]
        ids = {row["event_id"] for row in rows}
        try:
            store.log.append(events(*rows))
        except StoreFullError:
            return acknowledged, ids
        acknowledged |= ids
    raise AssertionError("the disk never filled")


def test_nothing_is_lost_and_writing_heals(small: Path) -> None:
    with opened(small / "shop") as store:
        acknowledged, refused = fill(store)
        assert acknowledged
        well, why = store.healthy()
        assert (well, "No space" in why) == (False, True)
        assert set(stored(store)) == acknowledged  # reading goes on, and holds no half batch
        assert not refused & set(stored(store))
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        assert store.healthy() == (True, "")
        more = events(*(event(n, event_id=name) for n, name in enumerate(sorted(refused))))
        assert store.log.append(more).stored == len(refused)
        assert set(stored(store)) == acknowledged | refused
        counts = store.counts()
        assert counts.balanced
        assert (counts.stored, counts.rejected) == (len(acknowledged | refused), len(refused))
    with opened(small / "shop") as store:
        assert set(stored(store)) == acknowledged | refused
        assert store.counts().rejected == len(refused)


def test_small_writes_go_on_failing_and_never_break_it(small: Path) -> None:
    with opened(small / "shop") as store:
        acknowledged: set[str] = set()
        for round_ in range(5):
            more, _ = fill(store, start=round_ * 10_000)
            acknowledged |= more
        assert set(stored(store)) == acknowledged


def test_twin_without_transactions_keeps_half_a_batch(small: Path) -> None:
    database = sqlite3.connect(small / "twin.db", isolation_level=None)
    database.execute("CREATE TABLE events (event_id TEXT PRIMARY KEY, query TEXT)")
    whole = 10_000
    batch = [(f"e{n}", "x" * 2000) for n in range(whole)]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        database.executemany("INSERT INTO events VALUES (?, ?)", batch)
    (count,) = database.execute("SELECT count(*) FROM events").fetchone()
    database.close()
    assert 0 < count < whole

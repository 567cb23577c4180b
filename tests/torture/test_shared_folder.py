"""Promise 18: two writing processes and a reader share a folder, and nobody is locked out."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from torture_rig import ROUNDS, Child, opened, stored

from endcap.testing.contracts.sample_rows import numbered

pytestmark = [pytest.mark.torture, pytest.mark.slow]


def test_a_server_an_import_and_a_trainer(tmp_path: Path) -> None:
    """For some seconds here, nearly a minute in the long form.

    Ten minutes are for the real server with two workers and real training: see
    ``tests/e2e/test_http_endurance.py``.
    """
    folder = tmp_path / "shop"
    with opened(folder) as store:
        server = Child(folder, tmp_path / "server", "--clients", "8", "--batches", "30")
        importer = Child(folder, tmp_path / "import", "--clients", "1", "--size", "2000")
        until = time.monotonic() + ROUNDS
        own = 0
        while time.monotonic() < until or server.process.poll() is None:
            found = stored(store)
            assert len(found) == len(set(found))
            own += store.log.append(numbered(own, own + 10)).stored
        server.finish()
        importer.wait_for(1)
        importer.kill()
        assert server.lines("fail") == importer.lines("fail") == []
        assert len(server.lines("ack")) == 240
        found = stored(store)
        assert server.acknowledged() | importer.acknowledged() <= set(found)
        assert len(found) == len(set(found)) == store.counts().stored
        assert own >= 10


def test_twin_that_does_not_wait_is_locked_out(tmp_path: Path) -> None:
    path = tmp_path / "twin.db"
    setup = sqlite3.connect(path, isolation_level=None)
    setup.execute("PRAGMA journal_mode=WAL")
    setup.execute("CREATE TABLE events (event_id TEXT)")
    setup.close()

    def write(_: int) -> int:
        refused = 0
        database = sqlite3.connect(path, timeout=0, isolation_level=None)
        for number in range(100):
            try:
                database.execute("INSERT INTO events VALUES (?)", (number,))
            except sqlite3.OperationalError as error:
                refused += "locked" in str(error)
        database.close()
        return refused

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(write, range(4))) > 0

"""Promises 1, 2 and 16 on PostgreSQL: killed clients, crashed servers, servers that go away."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from torture_rig import ROUNDS, Child

from endcap.events.postgres import PostgresStore, open_store
from endcap.events.store import Receipt
from endcap.schema.errors import StoreError
from endcap.schema.settings import StoreSettings
from endcap.testing.contracts.sample_rows import numbered
from endcap.testing.servers import PostgresServer, until
from real_servers import needs_postgres
from rounds import sized

pytestmark = [pytest.mark.torture, pytest.mark.slow, needs_postgres]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that may be crashed: no other test's."""
    running = PostgresServer()
    yield running
    running.remove()


def lost_and_doubled(url: str, acknowledged: set[str]) -> tuple[set[str], int]:
    """As in the rig: read past our own code, after the store was opened and found well."""
    with closing(open_store(StoreSettings(url=url))) as store:
        assert store.healthy() == (True, "")
        counts = store.counts()
    with psycopg.connect(url) as database:
        found = [name for (name,) in database.execute("SELECT event_id FROM events")]
    assert counts.balanced
    assert counts.stored == len(found)
    return acknowledged - set(found), len(found) - len(set(found))


def stop_and_recover(server: PostgresServer) -> None:
    """Stop without a checkpoint, and recover from the write-ahead log."""
    server.stop("immediate")
    server.start()


def kill_and_recover(server: PostgresServer) -> None:
    """The same by ``kill -9`` of every process of it."""
    server.kill()
    server.start_after_crash()


def test_a_killed_client_loses_and_doubles_nothing(server: PostgresServer, tmp_path: Path) -> None:
    url = server.new_database()
    rng = random.Random(7)
    everything: set[str] = set()
    for _ in range(ROUNDS):
        child = Child(url, tmp_path / "acks", "--clients", str(rng.choice((1, 8, 64))))
        child.wait_for(1)
        time.sleep(rng.uniform(0, 0.3))
        child.kill()
        everything |= child.acknowledged()
        assert lost_and_doubled(url, everything) == (set(), 0)


def test_twin_that_acknowledges_before_commit_loses_events(
    server: PostgresServer, tmp_path: Path
) -> None:
    url = server.new_database()
    child = Child(url, tmp_path / "acks", "--ack", "early")
    child.wait_for(200)
    child.kill()
    lost, _ = lost_and_doubled(url, child.acknowledged())
    assert lost


@pytest.mark.parametrize("crash", [stop_and_recover, kill_and_recover])
def test_a_crashed_server_loses_and_doubles_nothing(
    server: PostgresServer, tmp_path: Path, crash: Callable[[PostgresServer], None]
) -> None:
    """The clients live through it, and go on once the server is back."""
    url = server.new_database()
    child = Child(url, tmp_path / "acks", "--clients", "8")
    for _ in range(ROUNDS - 1):
        child.wait_for(len(child.lines("ack")) + 20)
        crash(server)
        child.wait_for(len(child.lines("ack")) + 20)
    child.kill()
    assert child.lines("fail")
    assert lost_and_doubled(url, child.acknowledged()) == (set(), 0)


def test_twin_that_does_not_wait_for_the_disk_loses_events(
    server: PostgresServer, tmp_path: Path
) -> None:
    url = server.new_database()
    child = Child(url, tmp_path / "acks", "--durability", "off")
    child.wait_for(100)
    server.stop("immediate")
    child.kill()
    server.start()
    lost, doubled = lost_and_doubled(url, child.acknowledged())
    assert lost
    assert doubled == 0


def test_a_server_that_is_away_is_said_at_once_and_heals(server: PostgresServer) -> None:
    with closing(open_store(StoreSettings(url=server.new_database()))) as store:
        assert store.log.append(numbered(0, 3)).stored == 3
        server.stop()
        try:
            for _ in range(5):
                with pytest.raises(StoreError, match="PostgreSQL"):
                    store.log.append(numbered(3, 6))
            well, why = store.healthy()
            assert not well
            assert "cannot be reached" in why
        finally:
            server.start()
        until(lambda: store.healthy() == (True, ""), seconds=5)
        until(lambda: takes(store), seconds=5)
        assert store.log.count() == 6
        assert store.counts() == Receipt(received=store.counts().received, stored=6, rejected=(
            store.counts().received - 6))  # fmt: skip


def takes(store: PostgresStore) -> bool:
    """Return whether three events are stored now."""
    try:
        return store.log.append(numbered(3, 6)).stored == 3
    except StoreError:
        return False


def test_connections_cut_again_and_again_lose_nothing(server: PostgresServer) -> None:
    """What was not acknowledged is sent again, as a client does; each event is there once.

    Five cuts that are felt here, 50 in the long form.
    """
    url = server.new_database()
    with closing(open_store(StoreSettings(url=url))) as store:
        stored = failed = 0
        with psycopg.connect(server.url(), autocommit=True) as admin:
            while failed < sized(5, 50):
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'endcap'"
                )
                try:
                    store.log.append(numbered(stored, stored + 5))
                except StoreError:
                    failed += 1
                else:
                    stored += 5
        until(lambda: store.healthy()[0], seconds=5)
        assert store.log.append(numbered(stored, stored + 5)).received == 5
        assert store.log.count() == stored + 5
        assert len(list(store.log.scan(actor="nobody"))) == 0


@pytest.mark.parametrize("option", ["fsync=off"])
def test_a_server_that_keeps_nothing_is_refused(option: str) -> None:
    careless = PostgresServer(option)
    try:
        with pytest.raises(StoreError, match="fsync=off"):
            open_store(StoreSettings(url=careless.url()))
    finally:
        careless.remove()


def test_commits_wait_for_the_disk_whatever_the_server_says(
    server: PostgresServer, tmp_path: Path
) -> None:
    """A database that is set to answer early keeps what is acknowledged all the same."""
    url = server.new_database()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")
    child = Child(url, tmp_path / "acks")
    child.wait_for(50)
    server.stop("immediate")
    child.kill()
    server.start()
    assert lost_and_doubled(url, child.acknowledged()) == (set(), 0)

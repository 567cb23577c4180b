"""What is PostgreSQL's own: hostile text, the schema, groups, deadlocks that cannot be."""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from endcap.events.opening import open_store
from endcap.events.postgres import engine
from endcap.events.postgres.appending import PEN
from endcap.events.postgres.store import PostgresStore
from endcap.events.sql import tables
from endcap.events.sql.committer import Apart
from endcap.events.store import Receipt
from endcap.prepare.run import prepare_store
from endcap.schema.actors import actor
from endcap.schema.errors import ConfigError, StoreError
from endcap.schema.settings import Settings, StoreSettings
from endcap.testing.contracts.sample_rows import START, event, events, numbered
from endcap.testing.contracts.store import ids, read
from endcap.testing.servers import PostgresServer, free_port
from real_servers import needs_postgres

pytestmark = needs_postgres


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    with closing(PostgresStore(StoreSettings(url=url))) as opened:
        yield opened


@given(st.text(alphabet="\x000\x10a"))
def test_escaped_text_comes_back(text: str) -> None:
    assert engine.unescaped(engine.escaped(text)) == text
    assert "\x00" not in engine.escaped(text)


HOSTILE = [
    "",
    "\x00",
    "\x10",
    "\x100",
    "\x10\x10\x00",
    '"',
    ",",
    "\n",
    "\r\n",
    "\\.",
    "\\N",
    "NULL",
]


def test_hostile_text_comes_back_through_every_door(store: PostgresStore) -> None:
    given = events(*(event(n, query=text, session_id=text) for n, text in enumerate(HOSTILE)))
    store.log.append(given)
    assert read(store).equals(given)
    store.log.append(events(event(99, event_id="\x00", user_id="\x10u\x00")))
    assert ids(store.log.scan(actor="\x10u\x00")) == ["\x00"]
    assert store.log.append(events(event(99, event_id="\x00"))).duplicate == 1
    store.alias("v\x00", "\x10u")
    assert store.aliases() == {"v\x00": "\x10u"}


@pytest.mark.parametrize(
    "who", [("u", None), ("u", "v"), (None, "v"), ("", "v"), ("", ""), ("", None)]
)
def test_an_actor_is_the_one_of_the_schema(
    store: PostgresStore, who: tuple[str | None, str | None]
) -> None:
    store.log.append(events(event(1, user_id=who[0], visitor_id=who[1])))
    name = actor(*who)
    assert ids(store.log.scan(actor=name or "nobody")) == (["e1"] if name else [])


def test_jobs_of_one_group_share_a_statement_and_keep_their_receipts(store: PostgresStore) -> None:
    """Two jobs of a group bring one event: it is stored for the first, a duplicate for the next."""
    with ThreadPoolExecutor(8) as pool:
        batches = [numbered(n, n + 10) for n in range(0, 400, 5)]
        receipts = list(pool.map(store.log.append, batches))
    assert all(receipt.balanced for receipt in receipts)
    assert sum(receipts, Receipt()) == Receipt(received=800, stored=405, duplicate=395)
    assert store.counts() == sum(receipts, Receipt())


def test_two_stores_with_ids_in_opposite_orders_never_deadlock(url: str) -> None:
    with (
        closing(open_store(StoreSettings(url=url))) as one,
        closing(open_store(StoreSettings(url=url))) as two,
        ThreadPoolExecutor(4) as pool,
    ):
        forth = numbered(0, 500)
        back = forth.take(list(range(499, -1, -1)))
        jobs = [
            pool.submit(s.log.append, t) for _ in range(5) for s, t in ((one, forth), (two, back))
        ]
        total = sum((job.result() for job in jobs), Receipt())
    assert total == Receipt(received=5000, stored=500, duplicate=4500)


def test_the_newest_event_by_number_is_the_last_committed(url: str) -> None:
    """Who reads on from the newest `seq` misses nothing, for no lower one appears later."""
    with (
        closing(PostgresStore(StoreSettings(url=url))) as one,
        closing(PostgresStore(StoreSettings(url=url))) as two,
        ThreadPoolExecutor(4) as pool,
        psycopg.connect(url, autocommit=True) as reader,
    ):
        jobs = [
            pool.submit((one, two)[n % 2].log.append, numbered(n * 9, n * 9 + 9)) for n in range(60)
        ]
        seen: set[int] = set()
        newest = 0
        while not all(job.done() for job in jobs):
            fresh = {seq for (seq,) in reader.execute("SELECT seq FROM events")} - seen
            assert all(seq > newest for seq in fresh)
            seen |= fresh
            newest = max(seen, default=0)


def test_a_scan_that_is_left_or_outlived_gives_its_connection_back(store: PostgresStore) -> None:
    store.log.append(numbered(0, 30_000))
    scan = store.log.scan()
    assert next(scan).num_rows
    scan.close()
    assert store.log.count() == 30_000
    assert len(ids(store.log.scan(until=START + timedelta(seconds=5)))) == 5


def test_who_is_cut_off_while_sending_holds_up_nobody(
    url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server waits for the rest of a COPY without end; nobody else may have to wait with it."""
    reached, healed, first = threading.Event(), threading.Event(), itertools.count()
    write = psycopg.Copy.write

    def stalled(self: Any, content: Any) -> None:
        if next(first) == 0:
            reached.set()
            assert healed.wait(60)
        write(self, content)

    monkeypatch.setattr(psycopg.Copy, "write", stalled)
    cut_off = store.log.submit(numbered(0, 1))
    try:
        assert reached.wait(20)
        other = open_store(StoreSettings(url=url))
        assert other.log.submit(numbered(1, 2)).result(20).stored == 1
        assert not cut_off.done()
        other.close()
    finally:
        healed.set()
    assert cut_off.result(20).stored == 1
    assert ids(store.log.scan()) == ["e0", "e1"]


@pytest.mark.parametrize("kind", [Apart, lambda work: work], ids=["apart", "twin"])
def test_who_is_cut_off_while_sending_what_is_apart_holds_up_nobody(
    url: str, store: PostgresStore, kind: Callable[[Any], Any]
) -> None:
    """…even when it is of one transaction with events, which wait for nobody until it is there."""
    reached, healed = threading.Event(), threading.Event()

    def stalled(session: Any) -> None:
        reached.set()
        assert healed.wait(60)

    busy = threading.Event()
    store._database.committer.submit(lambda session: busy.wait(60))  # what comes now is one group
    events = store.log.submit(numbered(0, 1))
    store._database.committer.submit(kind(stalled))
    busy.set()
    try:
        assert reached.wait(20)
        with closing(open_store(StoreSettings(url=url))) as other:
            waiting = other.log.submit(numbered(1, 2))
            if kind is Apart:
                assert waiting.result(20).stored == 1
            else:
                with pytest.raises(TimeoutError):
                    waiting.result(1)
            assert not events.done()
            healed.set()
            assert events.result(20).stored == waiting.result(20).stored == 1
    finally:
        healed.set()
    assert ids(store.log.scan()) == ["e0", "e1"]


def test_migrations_make_what_the_tables_say(url: str, store: PostgresStore) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    gate = sa.create_engine(url.replace("postgresql", "postgresql+psycopg", 1))
    with gate.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), tables.METADATA)
    gate.dispose()
    ours = [change for change in found if change[0] != "remove_index"]
    halves = {"events_done", "events_shown", "events_shown_to", "events_deeds"}  # SQLite's
    assert [change for change in ours if change[1].name not in halves] == []


def test_many_may_open_a_new_database_at_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: open_store(StoreSettings(url=url)), range(4)))
    for opened in stores:
        assert opened.healthy() == (True, "")
        opened.close()


def test_a_newer_schema_is_refused_untouched(url: str) -> None:
    open_store(StoreSettings(url=url)).close()
    with psycopg.connect(url) as admin:
        admin.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="'9999', newer than"):
        open_store(StoreSettings(url=url))


def test_a_schema_of_the_search_path_is_a_shop_of_its_own(url: str) -> None:
    with psycopg.connect(url) as admin:
        admin.execute("CREATE SCHEMA other")
    with (
        closing(open_store(StoreSettings(url=url))) as one,
        closing(open_store(StoreSettings(url=f"{url}?options=-csearch_path%3Dother"))) as two,
    ):
        one.log.append(numbered(0, 3))
        assert (one.log.count(), two.log.count()) == (3, 0)


def test_prepare_reads_it(store: PostgresStore) -> None:
    rows = [event(n, user_id=f"u{n % 5}", item_id=f"i{n % 7}", kind="view") for n in range(70)]
    store.log.append(events(*rows))
    data = prepare_store(store, Settings()).dataset
    assert (len(data.users), len(data.items)) == (5, 7)


def test_what_is_no_url_and_what_does_not_answer_is_named() -> None:
    with pytest.raises(ConfigError, match=r"store\.url"):
        open_store(StoreSettings(url="postgresql://host/shop?hots=1"))
    with pytest.raises(StoreError, match="cannot be reached"):
        open_store(StoreSettings(url=f"postgresql://u:secret@127.0.0.1:{free_port()}/x"))
    with pytest.raises(StoreError) as refusal:
        open_store(StoreSettings(url=f"postgresql://u:secret@127.0.0.1:{free_port()}/x"))
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("guarded", [True, False])
def test_who_falls_silent_in_a_transaction_keeps_nobody_from_writing(
    store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """As a replica that is cut off in the middle of a commit; unguarded it is the failing twin."""
    monkeypatch.setattr(engine, "SILENCE_SECONDS", 1)
    with ThreadPoolExecutor(1) as pool, closing(engine.connect(*engine.target(url))) as silent:
        if guarded:
            engine.let_go_soon(silent)
        silent.connection.execute(f"BEGIN; {PEN}", prepare=False)
        began = pool.submit(store.log.append, numbered(0, 3))
        done, _ = wait([began], timeout=20 if guarded else 2)
        assert bool(done) is guarded
        silent.close()
        assert began.result().stored == 3

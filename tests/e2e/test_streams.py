"""Events over real brokers: at least once from each, once in the log, or told why not."""

import asyncio
import json
import signal
import socket
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from brokers import Broker
from prometheus_client import CollectorRegistry
from streaming import Away, Hasty, Inside, Poisoned, good, lag, stored, weakened, worker

from endcap.cli.metrics import serve_metrics
from endcap.events.opening import open_store
from endcap.schema.errors import ConfigError
from endcap.schema.settings import StoreSettings
from endcap.serve.streams.opening import open_source
from endcap.serve.streams.publishing import Publisher, place_of
from endcap.serve.streams.sinks import open_sink
from endcap.serve.streams.worker import MOST_TRIES
from endcap.testing.contracts.sample_rows import event, events
from endcap.testing.servers import until

pytestmark = pytest.mark.slow
COUNT = 3000
NOW = datetime.now(UTC)
BROKEN = [b"no json", b"[]", b'{"kind": "view"}', b"\xff\xfe", b'{"event_id": "x", "kind": 3}']


def test_a_killed_worker_loses_and_doubles_nothing(broker: Broker, tmp_path: Path) -> None:
    messages = good(COUNT)
    broker.fill([*messages[:1000], *BROKEN, *messages[1000:], *messages[::20]])
    folder = tmp_path / "shop"
    with worker(broker.url, folder) as first:
        until(lambda: stored(folder), seconds=60)
        first.kill()
    with worker(broker.url, folder) as second:
        try:
            broker.fill(good(50, "late"))
            until(lambda: len(stored(folder)) == COUNT + 50, seconds=60)
            until(lambda: len({x["payload"] for x in broker.dead()}) == len(BROKEN), seconds=60)
            # What the first had stored and not acknowledged comes again, after a while.
            until(lambda: broker.lag() == 0, seconds=60)
            second.send_signal(signal.SIGTERM)
            said, _ = second.communicate(timeout=60)
        finally:
            second.kill()
    assert second.returncode == 0
    assert "stored" in said
    assert len(set(stored(folder))) == COUNT + 50
    assert {letter["reason"] for letter in broker.dead()} >= {"bad-json", "wrong-type"}
    with closing(open_store(StoreSettings(folder=folder))) as store:
        assert sum(store.quarantine.reasons().values()) >= len(BROKEN)


def test_twin_a_worker_that_acknowledges_before_storing_loses_events(
    broker: Broker, tmp_path: Path
) -> None:
    """The same path, the same death: what was acknowledged too early nobody hands out again."""
    broker.fill(good(100))
    store, _ = weakened(tmp_path / "shop", Hasty)
    with Inside(broker, store) as hasty:
        until(lambda: hasty.total.stored == 100)
    store.close()
    with closing(open_store(StoreSettings(folder=tmp_path / "shop"))) as store:
        with Inside(broker, store) as sound:
            until(lambda: lag(sound) == 0)
        assert store.log.count() == 0


def test_what_fails_five_times_is_put_aside_and_the_others_flow(
    broker: Broker, tmp_path: Path
) -> None:
    poison = good(1)[0].replace(b'"e0"', b'"poison"')
    broker.fill([*good(20), poison, *good(20, "f")])
    store, log = weakened(tmp_path / "shop", Poisoned)
    with Inside(broker, store) as inside:
        until(lambda: inside.dead == 1, seconds=40)
        broker.fill(good(5, "later"))
        until(lambda: store.log.count() == 45)
        until(lambda: len(broker.dead()) == 1)
        until(lambda: lag(inside) == 0)
    assert log.tries == MOST_TRIES
    (letter,) = broker.dead()
    assert (letter["reason"], letter["payload"]) == ("too-many-tries", poison.decode())
    assert "This one brings me down" in letter["message"]
    assert store.quarantine.reasons() == {"too-many-tries": 1}
    assert inside.total.balanced
    store.close()


def test_while_the_store_is_away_the_broker_keeps_all(broker: Broker, tmp_path: Path) -> None:
    """Longer than a message may be silent: it counts as no failure, and nothing is lost."""
    broker.fill(good(30))
    store, log = weakened(tmp_path / "shop", Away)
    with Inside(broker, store) as inside:
        until(lambda: log.asked > 3)
        until(lambda: lag(inside) == 30, seconds=40)
        until(lambda: log.asked > 5, seconds=40)
        log.back = True
        until(lambda: store.log.count() == 30)
        until(lambda: lag(inside) == 0)
    assert broker.dead() == []
    store.close()


def published(broker: Broker, folder: Path, count: int) -> int:
    """Publish until the broker holds `count` messages; return how many went out this time."""
    with closing(open_store(StoreSettings(folder=folder))) as store:
        place = place_of(folder, broker.url, "out", "out")
        sink = open_sink(broker.url, stream="out", subject="out")
        publisher = Publisher(store, sink, place, from_start=True)

        async def run() -> None:
            end = asyncio.Event()
            task = asyncio.create_task(publisher.run(end))
            while len(await asyncio.to_thread(broker.read, "out")) < count:
                await asyncio.sleep(0.05)
            end.set()
            await task

        asyncio.run(asyncio.wait_for(run(), 40))
        return publisher.published


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_how_far_publishing_is_can_be_watched(broker: Broker, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    with closing(open_store(StoreSettings(folder=folder))) as store:
        store.log.append(events(*(event(n, kind="purchase", time=NOW) for n in range(1, 6))))
        publisher = Publisher(
            store, open_sink(broker.url, stream="out", subject="out"),
            place_of(folder, broker.url, "out", "out"), from_start=True,
        )  # fmt: skip
        seen: list[float | None] = []

        told = publisher.registry.get_sample_value

        async def run() -> None:
            end = asyncio.Event()
            task = asyncio.create_task(publisher.run(end))
            while not told("endcap_publish_up") or told("endcap_publish_lag"):
                await asyncio.sleep(0.01)
            seen.append(told("endcap_published_total"))
            end.set()
            await task

        asyncio.run(asyncio.wait_for(run(), 40))
    assert seen == [5]


def test_a_port_of_metrics_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}"):
            serve_metrics(CollectorRegistry(), port)


def test_what_is_published_can_be_read_back_and_goes_on_where_it_was(
    broker: Broker, tmp_path: Path
) -> None:
    """Impressions and purchases, not views; what one shop published another takes in."""
    folder = tmp_path / "shop"
    with closing(open_store(StoreSettings(folder=folder))) as store:
        store.log.append(
            events(
                event(1, kind="impression", properties='{"degraded": true}', position=1, time=NOW),
                event(2, kind="view", time=NOW),
                event(3, kind="purchase", quantity=2, time=NOW),
            )
        )
    assert published(broker, folder, 2) == 2
    with closing(open_store(StoreSettings(folder=folder))) as store:
        store.log.append(events(event(4, kind="click", time=NOW), event(5, time=NOW)))
        first = [batch.to_pylist() for batch in store.log.scan(kinds=["impression", "purchase"])]
    assert published(broker, folder, 3) == 1
    broker.fill(broker.read("out"))
    with closing(open_store(StoreSettings(folder=tmp_path / "other"))) as store:
        with Inside(broker, store):
            until(lambda: store.log.count() == 3)
        again = [batch.to_pylist() for batch in store.log.scan(kinds=["impression", "purchase"])]
    for row, other in zip(first[0], again[0], strict=True):
        for name in ("event_id", "kind", "time", "item_id", "user_id", "price", "quantity"):
            assert row[name] == other[name]
        assert json.loads(row["properties"] or "{}") == json.loads(other["properties"] or "{}")


def test_a_worker_that_is_told_to_stop_does_so_while_the_store_is_away(
    broker: Broker, tmp_path: Path
) -> None:
    broker.fill(good(30))
    store, log = weakened(tmp_path / "shop", Away)
    with Inside(broker, store):
        until(lambda: log.asked > 1)
    until(lambda: broker.lag() == 30)
    store.close()


@pytest.mark.parametrize(
    ("url", "hint"),
    [("kafkaa://host", "kafka"), ("http://host", "nats://"), ("nats://127.0.0.1:1", "reached")],
)
def test_a_broker_nobody_knows_is_named(url: str, hint: str, tmp_path: Path) -> None:
    async def opened() -> None:
        await open_source(url, stream="s", subject="s", group="g").open()

    with pytest.raises(ConfigError) as told:
        asyncio.run(opened())
    assert hint in str(told.value)

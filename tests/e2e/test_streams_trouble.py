"""Row 17 and row 9: streams that repeat, mix up and stall, and workers that take it badly."""

import asyncio
import json
import random
import signal
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from brokers import RETRY_SECONDS, Broker
from streaming import Inside, Poisoned, good, lag, stored, weakened, worker

from endcap.events.opening import open_store
from endcap.schema.settings import StoreSettings
from endcap.serve.streams.source import Delivery
from endcap.serve.streams.worker import MOST_TRIES, StreamWorker
from endcap.testing.servers import until
from rounds import sized

pytestmark = [pytest.mark.slow, pytest.mark.torture]
KILLS = sized(2, 50)
"""A worker is killed twice here, 50 times with ``ROUNDS=50``."""
COUNT = 400 * KILLS
on_redis = pytest.mark.parametrize("broker", ["redis"], indirect=True)
that_stalls = pytest.mark.parametrize("broker", ["nats", "redis"], indirect=True)


def mixed_up(messages: Sequence[bytes], seed: int = 17) -> list[bytes]:
    """Return messages of which each fifth comes twice, none where it belongs."""
    rng = random.Random(seed)
    twice = [*range(len(messages)), *rng.sample(range(len(messages)), len(messages) // 5)]
    return [messages[n] for n in sorted(twice, key=lambda n: n + rng.uniform(0, 1000))]


def table(folder: Path) -> list[tuple[Any, ...]]:
    """Return all that is stored but when it came, in the order of ids."""
    names = ("event_id", "kind", "user_id", "item_id")
    with closing(open_store(StoreSettings(folder=folder))) as store:
        rows = [row for batch in store.log.scan() for row in batch.to_pylist()]
    return sorted(tuple(row[name] for name in names) for row in rows)


@that_stalls
def test_row_17_repeats_in_any_order_and_killed_workers_leave_one_table(
    broker: Broker, tmp_path: Path
) -> None:
    messages = mixed_up(good(COUNT))
    folder = tmp_path / "shop"
    step = len(messages) // KILLS
    for kill in range(KILLS):
        broker.fill(messages[kill * step : None if kill == KILLS - 1 else (kill + 1) * step])
        before = len(stored(folder))
        with worker(broker.url, folder) as mortal:
            until(lambda: len(stored(folder)) > before, seconds=60)  # noqa: B023
            mortal.kill()
    with closing(open_store(StoreSettings(folder=folder))) as store, Inside(broker, store) as last:
        until(lambda: store.log.count() == COUNT, seconds=60)
        until(lambda: lag(last) == 0, seconds=60)
    names = ("event_id", "kind", "user_id", "item_id")
    assert table(folder) == sorted(
        tuple(json.loads(message)[name] for name in names) for message in set(messages)
    )


def renamed(body: bytes) -> bytes:
    """Give a message an id of its own, as a worker would that knows of no ids."""
    return json.dumps({**json.loads(body), "event_id": f"{random.getrandbits(64):x}"}).encode()


@on_redis
def test_row_17_twin_where_ids_mean_nothing_repeats_are_stored_again(
    broker: Broker, tmp_path: Path
) -> None:
    messages = mixed_up(good(100))
    broker.fill(messages)
    with (
        closing(open_store(StoreSettings(folder=tmp_path / "shop"))) as store,
        Inside(broker, store, plain=renamed) as odd,
    ):
        until(lambda: lag(odd) == 0 and odd.total.received >= 120)
        assert store.log.count() == len(messages) == 120


@that_stalls
def test_row_17_a_broker_that_stalls_is_waited_for(broker: Broker, tmp_path: Path) -> None:
    broker.fill(good(100))
    with (
        closing(open_store(StoreSettings(folder=tmp_path / "shop"))) as store,
        Inside(broker, store) as patient,
    ):
        until(lambda: store.log.count() == 100)
        stall(broker)
        broker.fill(good(100, "late"))
        until(lambda: store.log.count() == 200, seconds=60)
        until(lambda: lag(patient) == 0, seconds=60)


def stall(broker: Broker) -> None:
    """Have the broker say nothing for longer than a message may be silent."""
    broker.signal(signal.SIGSTOP)
    time.sleep(2 * RETRY_SECONDS)
    broker.signal(signal.SIGCONT)


class Impatient(StreamWorker):
    """Takes silence for the end."""

    async def _received(self) -> list[Delivery]:
        async with asyncio.timeout(RETRY_SECONDS):
            return await self._source.receive()


@on_redis
def test_row_17_twin_a_worker_that_takes_silence_for_the_end_leaves_the_rest(
    broker: Broker, tmp_path: Path
) -> None:
    broker.fill(good(100))
    with closing(open_store(StoreSettings(folder=tmp_path / "shop"))) as store:
        inside = Inside(broker, store, Impatient)
        with inside:
            until(lambda: store.log.count() == 100)
            stall(broker)
            until(lambda: inside.error is not None)
            broker.fill(good(100, "late"))
        assert isinstance(inside.error, TimeoutError)
        assert store.log.count() == 100


class AllTogether(StreamWorker):
    """Tries again what failed as it came: together."""

    async def _try(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        try:
            await self.take([delivery.body for delivery in deliveries])
        except Exception:  # of any kind
            return list(deliveries)
        return []


@on_redis
def test_row_9_twin_a_worker_that_never_takes_them_apart_buries_the_good_ones(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("endcap.serve.streams.worker.TOGETHER_TRIES", MOST_TRIES)
    poison = good(1)[0].replace(b'"e0"', b'"poison"')
    broker.fill([*good(20), poison, *good(20, "f")])
    store, _ = weakened(tmp_path / "shop", Poisoned)
    with Inside(broker, store, AllTogether) as odd:
        until(lambda: odd.dead == 41, seconds=40)
    assert store.log.count() == 0
    store.close()

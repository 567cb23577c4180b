"""Events over a real broker: acknowledged once on disk, stored once, or told why not."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from endcap.events.opening import open_store
from endcap.schema.errors import ConfigError
from endcap.schema.settings import StoreSettings
from endcap.serve.streams.brokers import open_source
from endcap.testing.servers import NatsServer, until
from real_servers import needs_nats

pytestmark = [pytest.mark.slow, needs_nats]
COUNT = 3000
BROKEN = [b"no json", b"[]", b'{"kind": "view"}', b"\xff\xfe", b'{"event_id": "x", "kind": 3}']


def messages() -> list[bytes]:
    """Return events, each twentieth twice, and what is none among them."""
    good = [
        json.dumps(
            {"event_id": f"e{n}", "kind": "view", "user_id": f"u{n % 9}", "item_id": f"i{n % 7}"}
        ).encode()
        for n in range(COUNT)
    ]
    return [*good[:1000], *BROKEN, *good[1000:], *good[::20]]


class Nats:
    """A broker with a stream full of messages."""

    def __init__(self, folder: Path) -> None:
        self.server = NatsServer(folder)
        self.url = self.server.url
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        client = await nats.connect(self.url)
        stream = client.jetstream()
        await stream.add_stream(name="events", subjects=["events", "events.dead"])
        for body in messages():
            await client.publish("events", body)
        await client.flush()
        await client.close()

    def dead(self) -> list[dict[str, str]]:
        async def read() -> list[dict[str, str]]:
            client = await nats.connect(self.url)
            letters = await client.jetstream().pull_subscribe("events.dead", stream="events")
            found = await letters.fetch(len(BROKEN), timeout=5)
            await client.close()
            return [json.loads(message.data) for message in found]

        return asyncio.run(read())

    def dead_payloads(self) -> int:
        return len({letter["payload"] for letter in self.dead()})


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Nats]:
    (tmp_path / "broker").mkdir()
    running = Nats(tmp_path / "broker")
    yield running
    running.server.stop()


def worker(url: str, folder: Path) -> "subprocess.Popen[str]":
    command = [str(Path(sys.prefix) / "bin" / "endcap"), "stream", url, "--folder", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def count(folder: Path) -> int:
    store = open_store(StoreSettings(folder=folder))
    try:
        return store.log.count()
    finally:
        store.close()


def test_a_killed_worker_loses_and_doubles_nothing(broker: Nats, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    with worker(broker.url, folder) as first:
        until(lambda: count(folder) > 0, seconds=60)
        first.kill()
    with worker(broker.url, folder) as second:
        try:
            until(lambda: count(folder) == COUNT, seconds=60)
            until(lambda: broker.dead_payloads() == len(BROKEN), seconds=60)
            second.send_signal(signal.SIGTERM)
            said, _ = second.communicate(timeout=60)
        finally:
            second.kill()
    assert second.returncode == 0
    assert "stored" in said
    assert count(folder) == COUNT
    assert {letter["reason"] for letter in broker.dead()} >= {"bad-json", "wrong-type"}
    store = open_store(StoreSettings(folder=folder))
    assert sum(store.quarantine.reasons().values()) >= len(BROKEN)
    store.close()


def test_a_broker_nobody_knows_is_named() -> None:
    with pytest.raises(ConfigError, match="kafkaa://"):
        open_source("kafkaa://host", stream="s", subject="s", group="g")

"""Events per second from a broker to the disk: NATS JetStream, Redis Streams, RabbitMQ.

Each broker is a throw-away server filled beforehand; the clock runs from the first batch taken to
the last event fsynced and acknowledged, in one worker process. JSON, one event a message.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aio_pika
import nats
import redis

from benchmarks import report
from endcap.evaluate.meter import Meter
from endcap.events.opening import open_store
from endcap.schema.settings import EventSettings, StoreSettings
from endcap.serve.streams.opening import open_source
from endcap.serve.streams.worker import StreamWorker
from endcap.testing.servers import RABBIT_PROGRAM, NatsServer, RabbitServer, RedisServer

Server = NatsServer | RedisServer | RabbitServer
COUNT, QUICK_COUNT = 100_000, 20_000


def main(argv: list[str]) -> dict[str, Any]:
    """Run the benchmark."""
    flags = report.parser(__doc__).parse_args(argv)
    bodies = events(QUICK_COUNT if flags.quick else COUNT)
    servers: dict[str, tuple[type[Server], Callable[[str, list[bytes]], Any]]] = {
        "NATS JetStream": (NatsServer, fill_nats),
        "Redis Streams": (RedisServer, fill_redis),
    }
    if RABBIT_PROGRAM.exists():
        servers["RabbitMQ"] = (RabbitServer, fill_rabbit)
    with Meter() as meter:
        models = {name: measured(*how, bodies) for name, how in servers.items()}
    report.show(f"Events from brokers to SQLite, {len(bodies):,} messages", models)
    return report.outcome(
        meter,
        protocol="one worker, batches of 500, SQLite WAL synchronous=FULL; from the first batch "
        "taken to the last event fsynced and acknowledged",
        figures={
            "events_per_s": models["NATS JetStream"]["events_per_s"],
            "redis_events_per_s": models["Redis Streams"]["events_per_s"],
        },
        models=models,
        seed=flags.seed,
    )


def events(count: int) -> list[bytes]:
    """Return events as shops send them."""
    return [
        json.dumps(
            {
                "event_id": f"e{n:08d}",
                "kind": "view",
                "user_id": f"u{n % 5000}",
                "session_id": f"s{n % 9000}",
                "item_id": f"i{n * 7919 % 20_000}",
                "price": "9.90",
                "currency": "GBP",
            }
        ).encode()
        for n in range(count)
    ]


def measured(
    kind: type[Server], fill: Callable[[str, list[bytes]], Any], bodies: list[bytes]
) -> dict[str, float]:
    """Return events a second and CPU seconds of taking all of them in."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "broker").mkdir()
        server = kind(folder / "broker")
        try:
            fill(server.url, bodies)
            with closing(open_store(StoreSettings(folder=folder / "shop"))) as store:
                source = open_source(server.url, stream="events", subject="events", group="g")
                worker = StreamWorker(store, source, EventSettings(), name="benchmark")
                began, cpu = time.perf_counter(), time.process_time()
                asyncio.run(taken(worker, len(bodies)))
                seconds, spent = time.perf_counter() - began, time.process_time() - cpu
                assert store.log.count() == len(bodies)
        finally:
            server.stop()
    return {
        "events_per_s": len(bodies) / seconds,
        "us_of_cpu_per_event": spent / len(bodies) * 1e6,
    }


async def taken(worker: StreamWorker, count: int) -> None:
    """Run a worker until it has stored `count` events."""
    end = asyncio.Event()
    running = asyncio.create_task(worker.run(end))
    while worker.total.stored < count:
        await asyncio.sleep(0.01)
    end.set()
    await running


def fill_nats(url: str, bodies: list[bytes]) -> None:
    """Publish to a new stream."""

    async def fill() -> None:
        client = await nats.connect(url)
        await client.jetstream().add_stream(name="events", subjects=["events", "events.dead"])
        for body in bodies:
            await client.publish("events", body)
        await client.flush()
        await client.close()

    asyncio.run(fill())


def fill_redis(url: str, bodies: list[bytes]) -> None:
    """Add to a new stream."""
    with closing(redis.Redis.from_url(url)) as client:
        for start in range(0, len(bodies), 5000):
            pipe = client.pipeline(transaction=False)
            for body in bodies[start : start + 5000]:
                pipe.xadd("events", {"event": body})
            pipe.execute()


def fill_rabbit(url: str, bodies: list[bytes]) -> None:
    """Publish to a new quorum queue, and wait until it has all."""

    async def fill() -> None:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            quorum = {"x-queue-type": "quorum"}
            await channel.declare_queue("events", durable=True, arguments=quorum)
            exchange = channel.default_exchange
            for start in range(0, len(bodies), 1000):
                batch = (aio_pika.Message(body) for body in bodies[start : start + 1000])
                await asyncio.gather(*(exchange.publish(m, "events") for m in batch))

    asyncio.run(fill())

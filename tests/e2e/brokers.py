"""Real brokers under one face: fill a stream, read its dead letters, empty it."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aio_pika
import nats
import redis

from endcap.serve.streams.opening import open_source
from endcap.serve.streams.source import Source
from endcap.testing.servers import NatsServer, RabbitServer, RedisServer

Letters = list[dict[str, str]]
RETRY_SECONDS = 2.0


def source_of(url: str) -> Source:
    """Return the stream ``events`` of a broker, as all workers here read it."""
    more = {"stream": "events", "subject": "events", "group": "g"}
    return open_source(url, **more, retry_seconds=RETRY_SECONDS)


class Broker:
    """A broker with the stream ``events``."""

    url: str

    def fill(self, bodies: Sequence[bytes]) -> None:
        raise NotImplementedError

    def dead(self) -> Letters:
        """Return the dead letters so far."""
        raise NotImplementedError

    def read(self, name: str) -> list[bytes]:
        """Return what a stream, queue or subject holds."""
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def signal(self, number: signal.Signals) -> None:
        """Have the server stall (SIGSTOP) or go on."""
        raise NotImplementedError

    def source(self) -> Source:
        return source_of(self.url)

    def lag(self) -> int:
        """Ask as a worker of the group would."""

        async def ask() -> int:
            source = self.source()
            await source.open()
            try:
                return await source.lag()
            finally:
                await source.close()

        return asyncio.run(ask())


class Nats(Broker):
    def __init__(self, folder: Path) -> None:
        self._server = NatsServer(folder)
        self.url = self._server.url

        async def make(client: Any) -> None:
            subjects = ["events", "events.dead", "out"]
            await client.jetstream().add_stream(name="events", subjects=subjects)

        self._do(make)

    def _do(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            client = await nats.connect(self.url)
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(run())

    def fill(self, bodies: Sequence[bytes]) -> None:
        async def publish(client: Any) -> None:
            for body in bodies:
                await client.publish("events", body)
            await client.flush()

        self._do(publish)

    def dead(self) -> Letters:
        return [json.loads(body) for body in self.read("events.dead")]

    def read(self, subject: str) -> list[bytes]:
        async def read(client: Any) -> list[bytes]:
            stream = client.jetstream()
            letters = await stream.pull_subscribe(subject, stream="events")
            found: list[bytes] = []
            while True:
                try:
                    messages = await letters.fetch(100, timeout=0.3)
                except TimeoutError:  # nats.errors.TimeoutError is one
                    return found
                found += [message.data for message in messages]

        found: list[bytes] = self._do(read)
        return found

    def signal(self, number: signal.Signals) -> None:
        self._server.signal(number)

    def stop(self) -> None:
        self._server.stop()


class Redis(Broker):
    def __init__(self, folder: Path) -> None:
        self._server = RedisServer(folder)
        self.url = self._server.url
        self._client: Any = redis.Redis.from_url(self.url)

    def fill(self, bodies: Sequence[bytes]) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            for body in bodies:
                pipe.xadd("events", {"event": body})
            pipe.execute()

    def dead(self) -> Letters:
        return [json.loads(f[b"letter"]) for _, f in self._client.xrange("events.dead")]

    def read(self, stream: str) -> list[bytes]:
        return [fields[b"event"] for _, fields in self._client.xrange(stream)]

    def signal(self, number: signal.Signals) -> None:
        self._server.signal(number)

    def stop(self) -> None:
        self._client.close()
        self._server.stop()


class Rabbit(Broker):
    """On a server that several tests share, for it starts slowly; it is found empty."""

    def __init__(self, server: RabbitServer) -> None:
        self.url = server.url
        asyncio.run(self._emptied())

    async def _emptied(self) -> None:
        source = self.source()  # makes the queues
        await source.open()
        await source.close()
        async with await aio_pika.connect(self.url) as connection:
            channel = await connection.channel()
            await channel.declare_queue("out", durable=True, arguments={"x-queue-type": "quorum"})
            for name in ("events", "events.dead", "out"):
                await (await channel.get_queue(name)).purge()

    def fill(self, bodies: Sequence[bytes]) -> None:
        async def publish() -> None:
            async with await aio_pika.connect(self.url) as connection:
                channel = await connection.channel(publisher_confirms=False)
                for body in bodies:
                    message = aio_pika.Message(body)
                    await channel.default_exchange.publish(message, "events")

        asyncio.run(publish())

    def dead(self) -> Letters:
        return [json.loads(body) for body in self.read("events.dead")]

    def read(self, queue_name: str) -> list[bytes]:
        async def read() -> list[bytes]:
            async with await aio_pika.connect(self.url) as connection:
                channel = await connection.channel()
                queue = await channel.get_queue(queue_name)
                found = []
                while message := await queue.get(fail=False):
                    found.append(message.body)  # closing gives them back
                return found

        return asyncio.run(read())

    def stop(self) -> None:
        """Leave it to the next."""

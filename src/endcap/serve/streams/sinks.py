"""Brokers that events are published to."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from endcap.schema.errors import ConfigError, PluginError, nearest
from endcap.serve.streams.publishing import Message, Sink


class NatsSink:
    """A JetStream subject; the server drops what it has had within its window of duplicates."""

    def __init__(self, url: str, subject: str) -> None:
        self._url, self._subject = url, subject
        self._client: Any = None

    async def open(self) -> None:
        """See `Sink.open`."""
        from endcap.serve.streams.nats_source import connected

        self._client = await connected(self._url)
        self._stream = self._client.jetstream()

    async def send(self, messages: Sequence[Message]) -> None:
        """See `Sink.send`."""
        futures = [
            await self._stream.publish_async(self._subject, body, headers={"Nats-Msg-Id": name})
            for name, body in messages
        ]
        await asyncio.gather(*futures)

    async def close(self) -> None:
        """See `Sink.close`."""
        await self._client.close()


class RedisSink:
    """A Redis stream; field ``event``."""

    def __init__(self, url: str, stream: str) -> None:
        import redis.asyncio as aioredis

        self._client: Any = aioredis.Redis.from_url(url.replace("valkey", "redis", 1))
        self._url, self._stream = url, stream

    async def open(self) -> None:
        """See `Sink.open`."""
        from redis.exceptions import RedisError

        try:
            await self._client.ping()
        except RedisError as error:
            raise ConfigError(f"{self._url} cannot be reached: {error}.") from error

    async def send(self, messages: Sequence[Message]) -> None:
        """See `Sink.send`."""
        async with self._client.pipeline(transaction=False) as pipe:
            for _, body in messages:
                pipe.xadd(self._stream, {"event": body})
            await pipe.execute()

    async def close(self) -> None:
        """See `Sink.close`."""
        await self._client.aclose()


class RabbitSink:
    """A RabbitMQ queue, made where there is none; the message's id is the event's."""

    def __init__(self, url: str, queue: str) -> None:
        from endcap.serve.streams.rabbit_source import RabbitSource

        self._source = RabbitSource(url, queue)
        self._queue = queue

    async def open(self) -> None:
        """See `Sink.open`."""
        await self._source.open(consume=False)

    async def send(self, messages: Sequence[Message]) -> None:
        """See `Sink.send`."""
        publish = self._source.publish
        await asyncio.gather(*(publish(self._queue, body, {}, name) for name, body in messages))

    async def close(self) -> None:
        """See `Sink.close`."""
        await self._source.close()


class KafkaSink:
    """A Kafka topic, keyed by the event's id. No test runs this."""

    def __init__(self, url: str, topic: str) -> None:
        from aiokafka import AIOKafkaProducer

        self._topic = topic
        self._make = lambda: AIOKafkaProducer(
            bootstrap_servers=urlsplit(url).netloc, acks="all", enable_idempotence=True
        )
        self._producer: Any = None

    async def open(self) -> None:
        """See `Sink.open`."""
        self._producer = self._make()  # type: ignore[no-untyped-call]
        await self._producer.start()

    async def send(self, messages: Sequence[Message]) -> None:
        """See `Sink.send`."""
        futures = [
            await self._producer.send(self._topic, body, key=name.encode())
            for name, body in messages
        ]
        await asyncio.gather(*futures)

    async def close(self) -> None:
        """See `Sink.close`."""
        await self._producer.stop()


def open_sink(url: str, *, stream: str, subject: str) -> Sink:
    """Return the sink that a URL names, not open yet.

    Raises
    ------
    ConfigError
        When no broker of that scheme is known.
    PluginError
        When its client is not installed.
    """
    makers: dict[str, Callable[[], Sink]] = {
        "nats": lambda: NatsSink(url, subject),
        **dict.fromkeys(("redis", "rediss", "valkey"), lambda: RedisSink(url, stream)),
        **dict.fromkeys(("amqp", "amqps"), lambda: RabbitSink(url, stream)),
        "kafka": lambda: KafkaSink(url, stream),
    }
    scheme = urlsplit(url).scheme
    if scheme not in makers:
        hint = nearest(scheme, makers)
        raise ConfigError(f"No broker takes {url!r}.", hint=f"{hint} Such as nats://host:4222")
    try:
        return makers[scheme]()
    except ImportError as error:
        extra = "kafka" if scheme == "kafka" else "stream"
        raise PluginError(
            f"{url} cannot be reached: {error}.", hint=f"pip install 'endcap[{extra}]'"
        ) from error

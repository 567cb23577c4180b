"""Events from a RabbitMQ queue."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue, AbstractRobustConnection
from aio_pika.exceptions import AMQPException, ChannelInvalidStateError, ChannelNotFoundEntity

from endcap.schema.errors import ConfigError
from endcap.serve.streams.source import BATCH, POLL_SECONDS, Delivery

TRIES: Final = "x-endcap-tries"
"""Header with the tries that failed; brokers count them for quorum queues only."""
BROKERS_COUNT: Final = "x-delivery-count"
ACK_SECONDS: Final = 5.0
GONE: Final = (ChannelInvalidStateError, ConnectionError)
"""The connection was lost: the broker hands out again what it had handed out."""


class RabbitSource:
    """A `Source` on the queue `queue`, of any type; a durable quorum queue where there is none."""

    def __init__(self, url: str, queue: str) -> None:
        self._url, self._name = url, queue
        self._connection: AbstractRobustConnection | None = None
        self._queue: AbstractQueue | None = None
        self._arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        self._held = 0

    async def open(self, *, consume: bool = True) -> None:
        """See `Source.open`; `consume` False only makes the queues, to publish to them."""
        try:
            self._connection = await aio_pika.connect_robust(self._url)
        except (AMQPException, OSError, ValueError) as error:
            raise ConfigError(f"{self._url} cannot be reached: {error}.") from error
        self._channel = await self._connection.channel(publisher_confirms=True)
        await self._channel.set_qos(prefetch_count=2 * BATCH)
        self._queue = await self._declared(self._name)
        await self._declared(f"{self._name}.dead")
        if consume:
            await self._queue.consume(self._arrived.put)

    async def receive(self) -> list[Delivery]:
        """See `Source.receive`."""
        try:
            messages = [await asyncio.wait_for(self._arrived.get(), POLL_SECONDS)]
        except TimeoutError:
            return []
        while len(messages) < BATCH and not self._arrived.empty():
            messages.append(self._arrived.get_nowait())
        self._held += len(messages)
        return [Delivery(m.body, _tries(m), m) for m in messages]

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """See `Source.done`."""
        self._held -= len(deliveries)
        for delivery in deliveries:
            try:
                await delivery.handle.ack()
            except GONE:
                return
        with suppress(*GONE):  # an answer, to whatever, comes after the broker has heard of them
            await self._channel.set_qos(prefetch_count=2 * BATCH, timeout=ACK_SECONDS)

    async def again(self, deliveries: Sequence[Delivery]) -> None:
        """See `Source.again`: to the end of the queue, with one try more on record."""
        for delivery in deliveries:
            message = delivery.handle
            headers = {**message.headers, TRIES: delivery.tries}
            await self.publish(self._name, delivery.body, headers, message.message_id)
        await self.done(deliveries)

    async def keep(self, deliveries: Sequence[Delivery]) -> None:
        """See `Source.keep`: they are ours as long as the connection lasts."""

    async def bury(self, letter: bytes) -> None:
        """See `Source.bury`: in the queue's own ``.dead``."""
        await self.publish(f"{self._name}.dead", letter, {}, None)

    async def lag(self) -> int:
        """See `Source.lag`."""
        channel = await self._channel.get_underlay_channel()  # the one above remembers its answer
        told = await channel.queue_declare(self._name, passive=True)
        return (told.message_count or 0) + self._arrived.qsize() + self._held

    async def close(self) -> None:
        """See `Source.close`."""
        if self._connection is not None:
            await self._connection.close()

    async def _declared(self, name: str) -> AbstractQueue:
        assert self._connection is not None
        try:
            async with self._connection.channel() as probe:  # a refusal closes the channel
                await probe.declare_queue(name, passive=True)
        except ChannelNotFoundEntity:
            arguments = {"x-queue-type": "quorum"}
            return await self._channel.declare_queue(name, durable=True, arguments=arguments)
        return await self._channel.get_queue(name)

    async def publish(
        self, queue: str, body: bytes, headers: dict[str, Any], message_id: str | None
    ) -> None:
        """Publish to a queue; returns once the broker has confirmed it."""
        message = aio_pika.Message(
            body,
            headers=headers,
            message_id=message_id,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await self._channel.default_exchange.publish(message, queue)


def _tries(message: AbstractIncomingMessage) -> int:
    counts = [message.headers.get(name) for name in (TRIES, BROKERS_COUNT)]
    known = [count for count in counts if isinstance(count, int)]
    return 1 + max(known, default=int(bool(message.redelivered)))

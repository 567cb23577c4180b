"""Events from a Kafka topic. No test runs this: it was written to the library's documentation."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from endcap.schema.errors import ConfigError
from endcap.serve.streams.source import BATCH, POLL_SECONDS, Delivery


class KafkaSource:
    """A `Source` on the topic `topic`, read by the consumer group `group`.

    Offsets are committed by us alone, after the store has the events. Tries are counted in
    memory: Kafka counts none.
    """

    def __init__(self, url: str, topic: str, group: str) -> None:
        self._servers = urlsplit(url).netloc
        self._topic, self._group = topic, group
        self._again: list[Delivery] = []
        self._next: dict[TopicPartition, int] = {}
        self._consumer: Any = None
        self._producer: Any = None

    async def open(self) -> None:
        """See `Source.open`."""
        self._consumer = AIOKafkaConsumer(
            self._topic,
            bootstrap_servers=self._servers,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        self._producer = AIOKafkaProducer(bootstrap_servers=self._servers, acks="all")
        try:
            await self._consumer.start()
            await self._producer.start()
        except KafkaError as error:
            raise ConfigError(f"{self._servers} cannot be reached: {error}.") from error

    async def receive(self) -> list[Delivery]:
        """See `Source.receive`."""
        if self._again:
            held, self._again = self._again, []
            return [Delivery(d.body, d.tries + 1, d.handle) for d in held]
        found = await self._consumer.getmany(timeout_ms=int(POLL_SECONDS * 1000), max_records=BATCH)
        return [
            Delivery(record.value, 1, (partition, record.offset))
            for partition, records in found.items()
            for record in records
        ]

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """See `Source.done`; nothing is committed while a message is to be tried again."""
        for delivery in deliveries:
            partition, offset = delivery.handle
            self._next[partition] = max(self._next.get(partition, 0), offset + 1)
        if not self._again and self._next:
            await self._consumer.commit(self._next)
            self._next = {}

    async def again(self, deliveries: Sequence[Delivery]) -> None:
        """See `Source.again`."""
        self._again += deliveries

    async def keep(self, deliveries: Sequence[Delivery]) -> None:
        """See `Source.keep`: the group's heartbeat is sent by the client."""

    async def bury(self, letter: bytes) -> None:
        """See `Source.bury`: in the topic's own ``.dead``."""
        await self._producer.send_and_wait(f"{self._topic}.dead", letter)

    async def lag(self) -> int:
        """See `Source.lag`."""
        partitions = list(self._consumer.assignment())
        ends = await self._consumer.end_offsets(partitions) if partitions else {}
        at = {p: await self._consumer.committed(p) or 0 for p in partitions}
        return sum(end - at[partition] for partition, end in ends.items())

    async def close(self) -> None:
        """See `Source.close`."""
        await self._consumer.stop()
        await self._producer.stop()

"""Events from NATS JetStream."""

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import nats
import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.js.api import ConsumerConfig
from nats.js.client import JetStreamContext

from endcap.schema.errors import ConfigError
from endcap.serve.streams.source import BATCH, POLL_SECONDS, Delivery

log = structlog.get_logger(__name__)
ACK_SECONDS: Final = 5.0
OPEN_BATCHES: Final = 20
"""Unacknowledged at once, over all workers of a group."""


async def connected(url: str) -> Client:
    """Return a client that comes back by itself whenever the server does.

    Raises
    ------
    ConfigError
        When the server is not there at first.
    """
    place = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(place.hostname, place.port or 4222)
        writer.close()
        return await nats.connect(url, max_reconnect_attempts=-1, error_cb=_warn)
    except (OSError, nats.errors.Error) as error:
        raise ConfigError(f"{url} cannot be reached: {error}.") from error


async def _warn(error: Exception) -> None:
    log.warning("nats", reason=str(error) or type(error).__name__)


class NatsSource:
    """A `Source` on a JetStream stream that exists; `group` is its durable consumer.

    Parameters
    ----------
    retry_seconds
        After so long without a word a message is handed out again.
    """

    def __init__(
        self, url: str, stream: str, subject: str, group: str, retry_seconds: float
    ) -> None:
        self._url, self._stream, self._subject, self._group = url, stream, subject, group
        self._retry = retry_seconds
        self._client: Client | None = None
        self._pull: JetStreamContext.PullSubscription | None = None

    async def open(self) -> None:
        """See `Source.open`."""
        self._client = await connected(self._url)
        config = ConsumerConfig(ack_wait=self._retry, max_ack_pending=BATCH * OPEN_BATCHES)
        try:
            self._pull = await self._client.jetstream().pull_subscribe(
                self._subject, durable=self._group, stream=self._stream, config=config
            )
        except nats.js.errors.NotFoundError as error:
            await self._client.close()
            raise ConfigError(
                f"{self._url} has no stream {self._stream!r} with subject {self._subject!r}.",
                hint=f"nats stream add {self._stream} --subjects {self._subject},"
                f"{self._subject}.dead",
            ) from error

    async def receive(self) -> list[Delivery]:
        """See `Source.receive`."""
        assert self._pull is not None
        try:
            messages = await self._pull.fetch(BATCH, timeout=POLL_SECONDS)
        except (TimeoutError, nats.errors.TimeoutError):
            return []
        return [Delivery(m.data, m.metadata.num_delivered, m) for m in messages]

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """See `Source.done`; the server answers the last, and so has heard of all before it."""
        for delivery in deliveries[:-1]:
            await delivery.handle.ack()
        for delivery in deliveries[-1:]:
            await delivery.handle.ack_sync(timeout=ACK_SECONDS)

    async def again(self, deliveries: Sequence[Delivery]) -> None:
        """See `Source.again`."""
        for delivery in deliveries:
            await delivery.handle.nak()

    async def keep(self, deliveries: Sequence[Delivery]) -> None:
        """See `Source.keep`."""
        for delivery in deliveries:
            if not delivery.handle.is_acked:
                await delivery.handle.in_progress()

    async def bury(self, letter: bytes) -> None:
        """See `Source.bury`: on the subject's own ``.dead``.

        Kept where a stream takes that subject; the quarantine has it in any case.
        """
        assert self._client is not None
        await self._client.publish(f"{self._subject}.dead", letter)

    async def lag(self) -> int:
        """See `Source.lag`."""
        assert self._pull is not None
        info = await self._pull.consumer_info()
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    async def close(self) -> None:
        """See `Source.close`; acknowledgements under way arrive first."""
        if self._client is not None:
            await self._client.flush()
            await self._client.close()

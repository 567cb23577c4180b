"""Brokers by FastStream: NATS JetStream, in batches, acknowledged after the fact.

FastStream acknowledges by default what failed: hence the policy.
"""

import asyncio
import logging
from typing import Any, Final
from urllib.parse import urlsplit

import nats
import nats.js.errors
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from nats.aio.client import Client

from endcap.schema.errors import ConfigError
from endcap.serve.streams.worker import Source, Take

BATCH: Final = 500
DRAIN_SECONDS: Final = 15.0
POLL_MS: Final = 100
_quiet: Final = logging.getLogger("endcap.faststream")
_quiet.setLevel(logging.WARNING)


class NatsSource:
    """A `Source` on a JetStream stream that exists; `group` is its durable consumer."""

    def __init__(self, url: str, stream: str, subject: str, group: str) -> None:
        self._url, self._stream, self._subject, self._group = url, stream, subject, group
        self._client: Client | None = None

    async def consume(self, take: Take, end: asyncio.Event) -> None:
        """See `Source.consume`."""
        broker = NatsBroker(self._url, logger=_quiet, graceful_timeout=DRAIN_SECONDS)

        @broker.subscriber(
            self._subject,
            stream=JStream(self._stream, declare=False),
            durable=self._group,
            pull_sub=PullSub(batch_size=BATCH, timeout=POLL_MS / 1000, batch=True),
            ack_policy=AckPolicy.NACK_ON_ERROR,
            decoder=_bytes,
        )
        async def _(bodies: list[bytes]) -> None:
            await take(bodies)

        self._client = await nats.connect(self._url)
        async with broker:
            await broker.start()
            await end.wait()
        await self._client.close()

    async def bury(self, letter: bytes) -> None:
        """See `Source.bury`: on the subject's own ``.dead``."""
        if self._client:
            await self._client.publish(f"{self._subject}.dead", letter)

    async def lag(self) -> int:
        """See `Source.lag`."""
        if self._client is None:
            return 0
        try:
            info = await self._client.jetstream().consumer_info(self._stream, self._group)
        except nats.js.errors.NotFoundError:  # the broker makes it with its first pull
            return 0
        return (info.num_pending or 0) + (info.num_ack_pending or 0)


def open_source(url: str, *, stream: str, subject: str, group: str) -> Source:
    """Return the source that a URL names.

    Raises
    ------
    ConfigError
        When no broker of that scheme is known.
    """
    if urlsplit(url).scheme != "nats":
        raise ConfigError(f"No broker takes {url!r}.", hint="nats://host:4222")
    return NatsSource(url, stream, subject, group)


async def _bytes(message: Any) -> Any:
    return message.body

"""Events from a Redis (or Valkey) stream."""

import os
import secrets
import socket
import time
from collections.abc import Sequence
from typing import Any, Final

import redis.asyncio as aioredis
from redis.exceptions import RedisError, ResponseError

from endcap.schema.errors import ConfigError
from endcap.serve.streams.source import BATCH, POLL_SECONDS, Delivery

FIELD: Final = b"event"
"""Holds the event where an entry has several fields."""


class RedisSource:
    """A `Source` on the stream `stream`, read by the consumer group `group`.

    What a consumer took and never acknowledged, as one that was killed, is claimed by another
    after `retry_seconds`.
    """

    def __init__(self, url: str, stream: str, group: str, retry_seconds: float) -> None:
        self._client: Any = aioredis.Redis.from_url(url.replace("valkey", "redis", 1))
        self._url, self._stream, self._group = url, stream, group
        self._me = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._idle_ms = int(retry_seconds * 1000)
        self._again: list[bytes] = []
        self._next_claim = 0.0

    async def open(self) -> None:
        """See `Source.open`; the stream is made where there is none."""
        try:
            await self._client.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise ConfigError(f"{self._stream!r} at {self._url}: {error}.") from error
        except RedisError as error:
            raise ConfigError(f"{self._url} cannot be reached: {error}.") from error

    async def receive(self) -> list[Delivery]:
        """See `Source.receive`."""
        if self._again:
            ids, self._again = self._again[:BATCH], self._again[BATCH:]
            entries = await self._client.xclaim(self._stream, self._group, self._me, 0, ids)
            return await self._counted(entries)
        if time.monotonic() >= self._next_claim:
            if entries := await self._left_behind():
                return await self._counted(entries)
            self._next_claim = time.monotonic() + self._idle_ms / 2000
        found = await self._client.xreadgroup(
            self._group,
            self._me,
            {self._stream: ">"},
            count=BATCH,
            block=int(POLL_SECONDS * 1000),
        )
        entries = _entries(found)
        return [Delivery(_body(fields), 1, name) for name, fields in entries]

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """See `Source.done`."""
        await self._client.xack(self._stream, self._group, *(d.handle for d in deliveries))

    async def again(self, deliveries: Sequence[Delivery]) -> None:
        """See `Source.again`."""
        self._again += [delivery.handle for delivery in deliveries]

    async def keep(self, deliveries: Sequence[Delivery]) -> None:
        """See `Source.keep`: their idle time begins anew, and their tries are not counted up."""
        ids = [delivery.handle for delivery in deliveries]
        await self._client.xclaim(self._stream, self._group, self._me, 0, ids, justid=True)

    async def bury(self, letter: bytes) -> None:
        """See `Source.bury`: in the stream's own ``.dead``."""
        await self._client.xadd(f"{self._stream}.dead", {"letter": letter})

    async def lag(self) -> int:
        """See `Source.lag`."""
        for group in await self._client.xinfo_groups(self._stream):
            if group["name"].decode() == self._group:
                return int(group["lag"] or 0) + int(group["pending"])
        return 0

    async def close(self) -> None:
        """See `Source.close`; a consumer that holds nothing leaves no trace."""
        pending = await self._client.xpending_range(
            self._stream, self._group, "-", "+", 1, consumername=self._me
        )
        if not pending:
            await self._client.xgroup_delconsumer(self._stream, self._group, self._me)
        await self._client.aclose()

    async def _left_behind(self) -> list[tuple[bytes, Any]]:
        _, entries, *_ = await self._client.xautoclaim(
            self._stream, self._group, self._me, self._idle_ms, count=BATCH
        )
        return [entry for entry in entries if entry[1] is not None]

    async def _counted(self, entries: Sequence[tuple[bytes, Any]]) -> list[Delivery]:
        """Return deliveries with the tries that the server has counted."""
        entries = [entry for entry in entries if entry[1] is not None]  # trimmed away meanwhile
        if not entries:
            return []
        names = [name for name, _ in entries]
        pending = await self._client.xpending_range(
            self._stream, self._group, min(names, key=_order), max(names, key=_order), 10 * BATCH
        )
        tries = {row["message_id"]: row["times_delivered"] for row in pending}
        return [Delivery(_body(fields), tries.get(name, 1), name) for name, fields in entries]


def _order(name: bytes) -> tuple[int, ...]:
    return tuple(map(int, name.split(b"-")))


def _entries(found: Any) -> list[tuple[bytes, Any]]:
    if not found:
        return []
    streams = found.values() if isinstance(found, dict) else [entries for _, entries in found]
    flat: list[tuple[bytes, Any]] = []
    for entries in streams:
        for entry in entries:
            flat += entry if isinstance(entry, list) else [entry]
    return flat


def _body(fields: dict[bytes, bytes]) -> bytes:
    if len(fields) == 1:
        return next(iter(fields.values()))
    return fields.get(FIELD, b"")

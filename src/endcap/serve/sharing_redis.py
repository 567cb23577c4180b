"""The bus on Redis or Valkey: a bounded stream whose entries are counted without a gap.

The head of the stream (its epoch and the number of its last entry) tells a replica in one round
trip that nothing is new. An epoch it does not know (somebody flushed Redis), a number behind its
own (a failover lost some) or a gap (it slept too long) tell it to read everything again.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from endcap.schema.errors import ConfigError
from endcap.schema.settings import LiveSettings
from endcap.serve.sharing import BusError, Change

ENTRIES: Final = 8192
"""So many changes stay in Redis for replicas that lag behind."""
PAGE: Final = 512

PUBLISH: Final = """
local number = redis.call('HINCRBY', KEYS[1], 'number', 1)
if number == 1 then redis.call('HSET', KEYS[1], 'epoch', ARGV[1]) end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], number .. '-0', 'c', ARGV[3])
return number
"""
FOLLOW: Final = """
local head = redis.call('HMGET', KEYS[1], 'epoch', 'number')
local epoch, number = head[1] or '', tonumber(head[2] or '0')
local seen = tonumber(ARGV[2])
if epoch ~= ARGV[1] or number < seen then return {epoch, number} end
if number == seen then return {epoch, number, {}} end
local found = redis.call('XRANGE', KEYS[2], (seen + 1) .. '-0', '+', 'COUNT', ARGV[3])
if #found == 0 or found[1][1] ~= (seen + 1) .. '-0' then return {epoch, number} end
local changes = {}
for at, entry in ipairs(found) do changes[at] = entry[2][2] end
return {epoch, seen + #found, changes, changes}
"""


class RedisBus:
    """A `LiveBus` on Redis 6 or newer, or Valkey.

    Parameters
    ----------
    settings
        Where, under which prefix, and how long to wait.

    Raises
    ------
    ConfigError
        When the URL is none.
    """

    def __init__(self, settings: LiveSettings) -> None:
        waits = settings.timeout_ms / 1000
        self._client = _client(settings.url, waits)
        self._waiter = _client(settings.url, waits, block=True)
        self._keys = [f"{{{settings.prefix}}}:live:head", f"{{{settings.prefix}}}:live:changes"]
        self._publish = self._client.register_script(PUBLISH)
        self._follow = self._client.register_script(FOLLOW)
        self._epoch, self._seen = "unknown", 0
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Change).decode

    def publish(self, change: Change) -> None:
        """See `LiveBus.publish`."""
        with self._guarded():
            self._publish(
                keys=self._keys, args=[secrets.token_hex(8), ENTRIES, self._encode(change)]
            )

    def catch_up(self) -> list[Change] | None:
        """See `LiveBus.catch_up`; one round trip, or one for each `PAGE` changes."""
        changes: list[Change] = []
        while True:
            with self._guarded():
                epoch, seen, *found = self._follow(
                    keys=self._keys, args=[self._epoch, self._seen, PAGE]
                )
            self._epoch, self._seen = epoch.decode(), seen
            if not found:
                return None
            changes += map(self._decode, found[0])
            if len(found[0]) < PAGE:
                return changes

    def wait(self, seconds: float) -> None:
        """See `LiveBus.wait`."""
        with self._guarded():
            self._waiter.xread(
                {self._keys[1]: f"{self._seen}-0"}, count=1, block=int(seconds * 1000)
            )

    def forget(self) -> None:
        """See `LiveBus.forget`."""
        with self._guarded():
            self._client.xtrim(self._keys[1], maxlen=0, approximate=False)

    def close(self) -> None:
        """See `LiveBus.close`."""
        self._client.close()
        self._waiter.close()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            for client in (self._client, self._waiter):  # what is pooled is as dead as this one
                client.connection_pool.disconnect(inuse_connections=False)
            raise BusError(f"Redis: {error or type(error).__name__}") from error


def open_bus(settings: LiveSettings) -> RedisBus:
    """Return the bus at ``settings.url``: ``redis://``, ``rediss://`` or ``valkey://``."""
    return RedisBus(settings)


def _client(url: str, waits: float, *, block: bool = False) -> redis.Redis:
    address = url.replace("valkey", "redis", 1) if url.startswith("valkey") else url
    try:
        return redis.Redis.from_url(
            address,
            socket_connect_timeout=waits,
            socket_timeout=waits + (1.0 if block else 0.0),
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise ConfigError(f"live.url = {url!r}: {error}.", hint="redis://host:6379/0") from error

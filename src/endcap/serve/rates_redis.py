"""Where servers that share a Redis count requests together.

A storage of the library `limits` in front of its own for Redis. Redis is asked before a request is
let in, and may hold up the others once, for `live.timeout_ms`: after that nobody waits for it until
it has answered again.
"""

import threading
from collections.abc import Callable
from typing import Final, TypeVar

import redis
import structlog
from limits.storage import RedisStorage, SlidingWindowCounterSupport
from redis.backoff import NoBackoff
from redis.retry import Retry

from endcap.schema.settings import LiveSettings
from endcap.serve.rates_base import SlidingCounts, Windows

PROBE_SECONDS: Final = 0.5
T = TypeVar("T")
log = structlog.get_logger(__name__)


class RedisCounts(SlidingCounts):
    """Counts in Redis; while it does not answer, in another storage.

    Parameters
    ----------
    settings
        Where, under which prefix, and how long to wait.
    meanwhile
        Where to count while Redis is away: then each server allows the whole.
    """

    def __init__(self, settings: LiveSettings, meanwhile: SlidingWindowCounterSupport) -> None:
        super().__init__()
        waits = settings.timeout_ms / 1000
        self._redis = RedisStorage(
            settings.url.replace("valkey", "redis", 1),
            key_prefix=f"{settings.prefix}:rates",
            socket_connect_timeout=waits,
            socket_timeout=waits,
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]
        )
        self._meanwhile = meanwhile
        self._away = False
        self._losing = threading.Lock()
        self._end = threading.Event()

    def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        """See `SharedCounts.acquire_sliding_window_entry`."""
        return self._asked(lambda s: s.acquire_sliding_window_entry(key, limit, expiry, amount))

    def get_sliding_window(self, key: str, expiry: int) -> Windows:
        """See `SharedCounts.get_sliding_window`."""
        return self._asked(lambda storage: storage.get_sliding_window(key, expiry))

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """See `SharedCounts.clear_sliding_window`."""
        self._asked(lambda storage: storage.clear_sliding_window(key, expiry))

    def close(self) -> None:
        """Stop looking for it."""
        self._end.set()
        self._redis.storage.close()

    def _asked(self, ask: Callable[[SlidingWindowCounterSupport], T]) -> T:
        if not self._away:
            try:
                return ask(self._redis)
            except redis.RedisError as error:
                self._lose(error)
        return ask(self._meanwhile)

    def _lose(self, error: Exception) -> None:
        with self._losing:
            if not self._away:
                self._away = True
                log.warning("rates are counted by this server alone", reason=str(error))
                threading.Thread(target=self._look, name="rates", daemon=True).start()

    def _look(self) -> None:
        while not self._end.wait(PROBE_SECONDS):
            try:
                self._redis.storage.ping()
            except redis.RedisError:
                self._redis.storage.connection_pool.disconnect(inuse_connections=False)
            else:
                self._away = False
                log.info("rates are counted in Redis again")
                return

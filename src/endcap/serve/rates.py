"""How often a key or a shopper may come: a sliding minute, over all workers and replicas."""

import math
import time
from typing import Any, Final, NamedTuple, cast

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, SlidingWindowCounterSupport
from limits.strategies import SlidingWindowCounterRateLimiter

from endcap.schema.settings import LimitSettings, LiveSettings
from endcap.serve.keys import Key
from endcap.serve.rates_base import SlidingCounts

MINUTE: Final = 60
REDIS: Final = ("redis", "rediss", "valkey")


class Verdict(NamedTuple):
    """What became of a request at one limit.

    Attributes
    ----------
    name
        ``key`` or ``actor``.
    quota, remaining
        Requests in a minute: allowed, and left.
    seconds
        Until all are allowed again; for who is refused, until the next is.
    """

    ok: bool
    name: str
    quota: int
    remaining: int
    seconds: int


class Rates:
    """The limits of a shop; safe to share between threads.

    Parameters
    ----------
    settings
        Requests a minute; 0 is any number.
    counts
        Where they are counted; default: by this process alone.
    """

    def __init__(
        self, settings: LimitSettings, counts: SlidingWindowCounterSupport | None = None
    ) -> None:
        self._by_kind = {
            "public": settings.public_per_minute,
            "secret": settings.secret_per_minute,
        }
        self._actor = settings.actor_per_minute
        self._counts = counts or MemoryStorage()
        self._window = SlidingWindowCounterRateLimiter(cast("Any", self._counts))

    def key(self, key: Key, cost: int = 1) -> Verdict | None:
        """Count a request with a key; None where keys of its kind have no limit."""
        return self._spend("key", self._by_kind[key.kind], key.id, cost)

    def actor(self, actor: str, cost: int = 1) -> Verdict | None:
        """Count what a shopper does or asks; None where shoppers have no limit."""
        return self._spend("actor", self._actor, actor, cost)

    def close(self) -> None:
        """Let go of where they are counted."""
        if isinstance(self._counts, SlidingCounts):
            self._counts.close()

    def _spend(self, name: str, quota: int, who: str, cost: int) -> Verdict | None:
        if not quota:
            return None
        item = RateLimitItemPerMinute(quota)
        ok = cost <= quota and self._window.hit(item, name, who, cost=cost)
        reset, remaining = self._window.get_window_stats(item, name, who)
        seconds = max(1, math.ceil(reset - time.time()))
        return Verdict(ok, name, quota, max(0, int(remaining)) if ok else 0, min(seconds, MINUTE))


def open_rates(
    limits: LimitSettings, live: LiveSettings, counts: SlidingWindowCounterSupport | None = None
) -> Rates:
    """Return the limits of a server: with `live.url`, of all that share that Redis.

    Parameters
    ----------
    counts
        Where workers of one machine count together.
    """
    if live.url.partition(":")[0] in REDIS:
        from endcap.serve.rates_redis import RedisCounts  # an extra

        counts = RedisCounts(live, counts or MemoryStorage())
    return Rates(limits, counts)

"""How often a key or a shopper may come: counted in memory, a sliding minute."""

import math
import time
from typing import Final, NamedTuple

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from endcap.schema.settings import LimitSettings
from endcap.serve.keys import Key

MINUTE: Final = 60


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
    """The limits of one worker; safe to share between threads.

    Where several workers share a port, a key's requests are spread over them, so each allows its
    part; a shopper mostly keeps to one connection, so each allows the whole.

    Parameters
    ----------
    settings
        Requests a minute; 0 is any number.
    workers
        How many share the port.
    """

    def __init__(self, settings: LimitSettings, workers: int = 1) -> None:
        self._by_kind = {
            "public": math.ceil(settings.public_per_minute / workers),
            "secret": math.ceil(settings.secret_per_minute / workers),
        }
        self._actor = settings.actor_per_minute
        self._window = SlidingWindowCounterRateLimiter(MemoryStorage())

    def key(self, key: Key) -> Verdict | None:
        """Count a request with a key; None where keys of its kind have no limit."""
        return self._spend("key", self._by_kind[key.kind], key.id, 1)

    def actor(self, actor: str, cost: int = 1) -> Verdict | None:
        """Count what a shopper does or asks; None where shoppers have no limit."""
        return self._spend("actor", self._actor, actor, cost)

    def _spend(self, name: str, quota: int, who: str, cost: int) -> Verdict | None:
        if not quota:
            return None
        item = RateLimitItemPerMinute(quota)
        ok = cost <= quota and self._window.hit(item, name, who, cost=cost)
        reset, remaining = self._window.get_window_stats(item, name, who)
        seconds = max(1, math.ceil(reset - time.time()))
        return Verdict(ok, name, quota, max(0, int(remaining)) if ok else 0, min(seconds, MINUTE))

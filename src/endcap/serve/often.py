"""A warning of what may happen a thousand times a second: said once a second, with how often."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final

import structlog

from endcap.serve.metrics import Metrics

EVERY_S: Final = 1.0
log = structlog.get_logger(__name__)


class Often:
    """Says that something happened: the first time at once, then what a second brought together.

    Called on an event loop.

    Parameters
    ----------
    event
        What is said.
    on_each
        Called each time.
    every_s
        Seconds between two warnings at least.
    """

    def __init__(
        self, event: str, on_each: Callable[[], object], *, every_s: float = EVERY_S
    ) -> None:
        self._event = event
        self._on_each = on_each
        self._every_s = every_s
        self._count = 0
        self._facts: dict[str, Any] = {}
        self._pause: asyncio.TimerHandle | None = None

    def __call__(self, **facts: Any) -> None:
        """Note that it happened again; `facts` are those of the last time."""
        self._on_each()
        self._count += 1
        self._facts = facts
        if self._pause is None:
            self._say()

    def close(self) -> None:
        """Say what has not been said yet."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._count:
            log.warning(self._event, count=self._count, **self._facts)
            self._count = 0

    def _say(self) -> None:
        """Say it, and be silent for a while; the end of that is no part of any request."""
        log.warning(self._event, count=self._count, **self._facts)
        self._count = 0
        loop = asyncio.get_running_loop()
        self._pause = loop.call_later(self._every_s, self._go_on, context=Context())

    def _go_on(self) -> None:
        self._pause = None
        if self._count:
            self._say()


class Misses:
    """Slates that were not as asked for, counted and warned of: `refused`, and `late`."""

    def __init__(self, metrics: Metrics) -> None:
        self.refused = Often("slates refused", metrics.slates_refused.inc)
        self.late = Often("slates late", metrics.slates_late.inc)

    def close(self) -> None:
        """Say what has not been said yet."""
        self.refused.close()
        self.late.close()

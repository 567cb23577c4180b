"""Where events arrive: what a broker must be able to do for at-least-once."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

BATCH: Final = 500
"""Messages that are handed on together."""
POLL_SECONDS: Final = 0.1


class Delivery(NamedTuple):
    """One message as a broker handed it out.

    Attributes
    ----------
    body
        What was published.
    tries
        How often it was handed out, this time included, as far as the broker knows.
    handle
        The broker's own name for it.
    """

    body: bytes
    tries: int
    handle: Any


class Source(Protocol):
    """A place on a broker where events arrive, each message one event.

    Used by one task at a time, `keep` and `lag` excepted.

    Stability: implementer.
    """

    async def open(self) -> None:
        """Connect, and make the group of consumers where there is none.

        Raises `ConfigError` where the broker or the stream is not there.
        """

    async def receive(self) -> list[Delivery]:
        """Return what waits, `BATCH` at most; nothing after `POLL_SECONDS` in which nothing came.

        What is not said to be `done` is handed out again, also when this process dies.
        """

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """Say that these are safe; the broker may forget them, and has heard it on return."""

    async def again(self, deliveries: Sequence[Delivery]) -> None:
        """Have these handed out again, now or soon."""

    async def keep(self, deliveries: Sequence[Delivery]) -> None:
        """Say that these are still being worked on, so that nobody else gets them."""

    async def bury(self, letter: bytes) -> None:
        """Publish, durably, what cannot be used where somebody may look at it."""

    async def lag(self) -> int:
        """Return how many messages wait or are being worked on."""

    async def close(self) -> None:
        """Let go; what is neither done nor again is handed out again later."""

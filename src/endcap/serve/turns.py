"""Where slates are made: quick ones in turn on the event loop, slow ones in threads.

Arithmetic in Python holds the interpreter, so that threads which make slates side by side only
wait for each other, and lose half their time in handing over. A quick slate is therefore made by
the event loop itself, once all it could have to wait for has been read in a thread. Batches of
events are validated in turn, too: a thousand that arrive at once hold up nobody else.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

QUICK_S: Final = 0.01
"""An event loop may be held up for so long: everybody else waits meanwhile."""
RECENT: Final = 0.2
"""Share of the latest slate in the mean."""


class Line:
    """Those who wait to do a millisecond's work on the event loop, one after the other.

    Stability: caller.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn; between two of them the loop hears its sockets, so that nobody starves.

        Who is cancelled while waiting gives up the place.
        """
        async with self._lock:
            await asyncio.sleep(0)
            yield


class Turns:
    """The lines of a server, and which slates are quick.

    Attributes
    ----------
    survey
        Held by whoever asks many users at once: one at a time, so that slates keep the threads.
    slates, arriving, stored
        Quick slates; batches to validate; batches for the live state to follow, which are nearly
        done and wait for none that arrive.

    Stability: caller.
    """

    def __init__(self) -> None:
        self.survey = asyncio.Lock()
        self.slates, self.arriving, self.stored = Line(), Line(), Line()
        self._means: dict[str, float] = {}

    def is_quick(self, placement: str) -> bool:
        """Return whether the slates of a placement took little; False until the first is made."""
        return self._means.get(placement, QUICK_S) < QUICK_S

    def took(self, placement: str, seconds: float) -> None:
        """Take in how much processor time a slate of a placement took."""
        mean = self._means.get(placement, seconds)
        self._means[placement] = mean + RECENT * (seconds - mean)

"""How many may post events at once: as many as are answered in time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from endcap.schema.errors import BusyError

MANY: Final = 100
"""So few are always let in: a disk that pauses for seconds is no crowd."""
PATIENCE_S: Final = 1.0
RECENT: Final = 0.05
"""Share of the latest post in the mean."""


class Crowd:
    """Those whose events are under way; where one more would wait too long, it is not let in.

    How long is foretold from those before (who found `n` there and took `t` seconds: each takes
    ``t / n``, Little's law). Where the time goes (validating, the disk, telling others) does not
    matter, nor how fast the machine is: what is under way is what it stores in `patience_s`, and so
    is the memory it takes. Belongs to one event loop.

    Parameters
    ----------
    on_refused
        Called for each that is not let in.
    clock
        Seconds, rising.

    Stability: caller.
    """

    def __init__(
        self,
        *,
        on_refused: Callable[[], object],
        many: int = MANY,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_refused, self._many, self._patience_s = on_refused, many, patience_s
        self._clock = clock
        self._here = 0
        self._pace = 0.0

    def admit(self) -> None:
        """Refuse whoever would have to wait too long; asked before anything of a post is read.

        Raises
        ------
        BusyError
            Nothing of it is to be stored.
        """
        wait = self._here * self._pace
        if self._here >= self._many and wait > self._patience_s:
            self._on_refused()
            raise BusyError(
                f"{self._here} posts are under way; it would take {wait:.1f} s.",
                hint="Nothing of this one was stored; send it again later.",
                retry_after=wait,
            )

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be among them, once a post is read; raises as `admit`, for others came meanwhile."""
        self.admit()
        self._here += 1
        found, began = self._here, self._clock()
        try:
            yield
        finally:
            self._here -= 1
            self._pace += RECENT * ((self._clock() - began) / found - self._pace)

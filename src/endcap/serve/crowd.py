"""How many may post events at once: as many as are answered in time."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from endcap.schema.errors import BusyError

MANY: Final = 100
"""So few are always let in: a disk that pauses for seconds is no crowd."""
PATIENCE_S: Final = 2.0


class Crowd:
    """Those whose events are under way; while the first of many waits too long, nobody comes in.

    Where the time goes (reading, validating, the disk, telling others) does not matter, nor how
    fast the machine is: what is under way is what it stores in `patience_s`, more or less, and so
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
        self._since: OrderedDict[object, float] = OrderedDict()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be among them.

        Raises
        ------
        BusyError
            Nothing was read of what was sent.
        """
        now = self._clock()
        if len(self._since) >= self._many:
            waited = now - next(iter(self._since.values()))
            if waited > self._patience_s:
                self._on_refused()
                raise BusyError(
                    f"{len(self._since)} posts are under way, the first for {waited:.1f} s.",
                    hint="Nothing of this one was stored; send it again later.",
                    retry_after=waited,
                )
        place = object()
        self._since[place] = now
        try:
            yield
        finally:
            del self._since[place]

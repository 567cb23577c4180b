"""Ends a fit that would outlast its time, as soon as its progress tells."""

from collections.abc import Callable
from typing import Final

Clock = Callable[[], float]

EVEN: Final = 8
"""Steps from which they are taken to last equally long; fewer are stages, none like another."""
EARLY: Final = 0.02
"""The share of the steps that must be done before the others are foreseen."""
SLACK: Final = 1.2
"""What is foreseen may be above the limit by this factor: the first steps are often the slowest."""


class OutOfTimeError(Exception):
    """A fit lasted longer than it may, or would have."""


class Watch:
    """A `Progress` that raises once the work it hears of cannot end in time.

    A fit that never tells how far it is cannot be ended.

    Parameters
    ----------
    limit_s
        Seconds from now on.
    clock
        Seconds.
    """

    def __init__(self, limit_s: float, clock: Clock) -> None:
        self._clock, self._limit = clock, limit_s
        self._began = self._phase = self._latest = clock()
        self._done, self._total = 0, 0

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Look at the clock.

        Raises
        ------
        OutOfTimeError
            When the limit has passed, or will have before all `total` steps are done.
        """
        now = self._clock()
        if total != self._total or done <= self._done:  # another kind of step began
            self._phase = self._latest
        self._done, self._total, self._latest = done, total, now
        spent = now - self._began
        if spent > self._limit:
            raise OutOfTimeError(f"not done after {spent:.0f} s")
        if total < EVEN or done < max(2, EARLY * total):
            return
        whole = self._phase - self._began + (now - self._phase) * total / done
        if whole > SLACK * self._limit:
            raise OutOfTimeError(f"a fit would take {whole:.0f} s")

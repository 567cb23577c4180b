"""Where the stages of a request say that they begin and end, for whoever traces or times them.

Nobody does by default: then it costs a look at two variables. `endcap.serve.telemetry` is who may
trace, `endcap.serve.metrics` who times.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Literal, get_args

Stage = Literal["read", "wait", "history", "retrieve", "rank", "compose", "say", "write"]
"""Reading ahead what a slate could have to wait for; waiting for a turn; the history as it is then;
candidates; the second stage; the rules of the place; reasons in words; what must be on disk."""
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
Spans = Callable[[str], AbstractContextManager[object]]
"""Given the name of a stage, what surrounds it."""
Timer = Callable[[tuple[Stage, float]], object]
"""Told that a stage took so many seconds."""
_NOTHING: Final = nullcontext()
_spans: Spans | None = None
_timers: tuple[Timer, ...] = ()


class _Timed:
    """Surrounds a stage for the timers, and for who traces."""

    __slots__ = ("_began", "_name", "_span")

    def __init__(self, name: Stage) -> None:
        self._name = name
        self._span = None if _spans is None else _spans(name)

    def __enter__(self) -> None:
        if self._span is not None:
            self._span.__enter__()
        self._began = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        told = self._name, time.perf_counter() - self._began
        for timer in _timers:
            timer(told)
        if self._span is not None:
            self._span.__exit__(*error)  # type: ignore[arg-type]  # as they were given


def stage(name: Stage) -> AbstractContextManager[object]:
    """Surround a stage."""
    if _timers:
        return _Timed(name)
    return _NOTHING if _spans is None else _spans(name)


def traced() -> bool:
    """Return whether anybody traces the stages of this process."""
    return _spans is not None


def trace_by(spans: Spans | None) -> None:
    """Have `spans` surround every stage of this process from now on; None ends it."""
    global _spans  # noqa: PLW0603 - one process, one tracer
    _spans = spans


def time_by(timer: Timer) -> Callable[[], None]:
    """Tell `timer` of every stage of this process from now on, until what is returned is called."""
    global _timers  # noqa: PLW0603 - servers in one process each count all of it
    _timers = (*_timers, timer)

    def end() -> None:
        global _timers  # noqa: PLW0603 - as above
        _timers = tuple(one for one in _timers if one is not timer)

    return end

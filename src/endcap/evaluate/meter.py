"""What work costs: time on the clock, time of the processors, memory at its peak."""

import os
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

STATUS: Final = Path("/proc/self/status")
CLEAR: Final = Path("/proc/self/clear_refs")


@dataclass
class Meter:
    """Measure a ``with`` block; blocks may stand in one another, not in several threads.

    Attributes
    ----------
    wall_s
        Seconds on the clock.
    cpu_s
        Processor seconds of this process and of children that have ended.
    peak_mb
        Largest resident memory, MiB: within the block on Linux, of the process elsewhere.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0
    _start: tuple[float, float] = field(default=(0.0, 0.0), repr=False)

    def __enter__(self) -> Self:
        for outer in OPEN:
            outer.peak_mb = max(outer.peak_mb, peak_mb())
        _forget_peak()
        OPEN.append(self)
        self._start = (time.perf_counter(), cpu_seconds())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wall_s = time.perf_counter() - self._start[0]
        self.cpu_s = cpu_seconds() - self._start[1]
        self.peak_mb = max(self.peak_mb, peak_mb())
        OPEN.remove(self)


OPEN: Final[list[Meter]] = []
"""Blocks being measured: an inner one makes the system forget the peak, so outer ones note it."""


def cpu_seconds() -> float:
    """Return user and system time of this process and its ended children, s."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def peak_mb() -> float:
    """Return the largest resident memory since the last block began, MiB."""
    if STATUS.exists():
        for line in STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _forget_peak() -> None:
    """Let Linux forget the peak so far; where that is not allowed, the peak is the process's."""
    try:
        CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return

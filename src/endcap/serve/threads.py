"""How a process settles down to serve: one thread for each request's arithmetic, no long pauses."""

import ctypes
import gc
import sys
from typing import Final

from threadpoolctl import threadpool_limits

ARENAS: Final = 2
_M_ARENA_MAX: Final = -8
GARBAGE: Final = (20_000, 50, 100)
"""Containers made and not yet gone before the youngest are searched (Python's own is 700), and how
many such searches come before one among the older, and so on: the last takes a tenth of a second.
"""
SWITCH_S: Final = 0.0005
"""A kernel that let the interpreter go may wait this long to have it back, and a slate calls
dozens: at Python's own 5 ms, slates side by side wait for each other most of the time."""


def keep_what_is_loaded() -> None:
    """Let no search for garbage go through what is there now, for the rest of this process.

    A catalogue is a million objects, and each search through all of it holds up every request. What
    a request leaves behind is looked for after some ten of them, not several times in each.
    """
    gc.freeze()
    gc.set_threshold(*GARBAGE)


def keep_what_came() -> None:
    """Let no search for garbage go through what has come since, either, where any was kept."""
    if gc.get_freeze_count():
        gc.freeze()


def one_for_each_request() -> None:
    """Let no product of matrices start threads of its own, from now on in this process.

    Several requests that each call for all cores only wait for each other. Nor does each thread
    keep a heap of its own (`ARENAS`): what one lets go of, another can take. The interpreter goes
    round in short turns (`SWITCH_S`).
    """
    threadpool_limits(1, "blas")
    sys.setswitchinterval(SWITCH_S)
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)
        except AttributeError:  # another C library than glibc
            return

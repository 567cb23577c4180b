"""Requests are what a server does in parallel: its arithmetic keeps to one thread for each."""

import ctypes
import sys
from typing import Final

from threadpoolctl import threadpool_limits

ARENAS: Final = 2
_M_ARENA_MAX: Final = -8


def one_for_each_request() -> None:
    """Let no product of matrices start threads of its own, from now on in this process.

    Several requests that each call for all cores only wait for each other. Nor does each thread
    keep a heap of its own (`ARENAS`): what one lets go of, another can take.
    """
    threadpool_limits(1, "blas")
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)
        except AttributeError:  # another C library than glibc
            return

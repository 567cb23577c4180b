"""Run a kernel over blocks of rows on every core; answers never depend on the number of cores."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numba

from endcap.schema.progress import Progress, silent

T = TypeVar("T")


def over_blocks(
    n: int,
    size: int,
    work: Callable[[int, int], T],
    progress: Progress = silent,
    note: str = "",
) -> list[T]:
    """Return ``work(start, stop)`` for consecutive blocks of at most `size` of n rows, in order.

    `work` must release the interpreter lock to gain from more than one core; the number of
    threads is Numba's (``NUMBA_NUM_THREADS``). An error, of `progress` too, ends it all after
    the blocks that are under way.
    """
    starts = range(0, n, max(1, size))
    if len(starts) == 1:  # a single question: starting threads would cost more than they bring
        only = work(0, n)
        progress(1, 1, note)
        return [only]
    out = []
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        results = pool.map(lambda start: work(start, min(start + size, n)), starts)
        try:
            for done, result in enumerate(results, start=1):
                out.append(result)
                progress(done, len(starts), note)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return out

"""Reads for an event loop: together where they pile up, never behind one that is stuck."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from endcap.serve.reading import Desk, _Read

THREADS = 3


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool


def test_each_gets_its_own_answer_or_its_own_error(pool: ThreadPoolExecutor) -> None:
    desk = Desk(pool, THREADS)

    def work(n: int) -> int:
        if n % 7 == 3:
            raise ValueError(n)
        return n * n

    async def ask(n: int) -> int:
        return await desk.read(lambda: work(n))

    async def run() -> list[int | BaseException]:
        return await asyncio.gather(*(ask(n) for n in range(100)), return_exceptions=True)

    for n, found in enumerate(asyncio.run(run())):
        if n % 7 == 3:
            assert isinstance(found, ValueError)
            assert found.args == (n,)
        else:
            assert found == n * n


class Robbed(Desk):
    """Another thread takes what seemed to be next: between a look at the row and the next read."""

    def _next(self) -> Any:
        one = super()._next()
        return None if one is not None and one.work is nothing else one


def nothing() -> None:
    """Be read by somebody else."""


def test_an_answer_is_told_though_another_thread_took_what_was_next(
    pool: ThreadPoolExecutor,
) -> None:
    desk = Robbed(pool, 1)

    async def run() -> str:
        def work() -> str:
            waits = loop.create_future()
            desk._waiting.append(_Read(nothing, waits, loop))
            return "told"

        loop = asyncio.get_running_loop()
        async with asyncio.timeout(20):
            return await desk.read(work)

    assert asyncio.run(run()) == "told"


def test_what_waits_together_is_read_by_one_thread(pool: ThreadPoolExecutor) -> None:
    desk = Desk(pool, THREADS)

    async def run() -> list[str]:
        return await asyncio.gather(
            *(desk.read(lambda: threading.current_thread().name) for _ in range(50))
        )

    assert len(set(asyncio.run(run()))) == 1


def test_nobody_waits_behind_a_read_that_is_stuck(pool: ThreadPoolExecutor) -> None:
    desk = Desk(pool, THREADS)
    over = threading.Event()

    async def run() -> str:
        stuck = asyncio.ensure_future(desk.read(lambda: over.wait(30)))
        await asyncio.sleep(0.1)
        try:
            return await asyncio.wait_for(desk.read(lambda: "told"), 10)
        finally:
            over.set()
            await stuck

    assert asyncio.run(run()) == "told"


def test_who_has_left_is_not_worked_for(pool: ThreadPoolExecutor) -> None:
    desk = Desk(pool, 1)
    over = threading.Event()
    done: list[str] = []

    async def run() -> None:
        first = asyncio.ensure_future(desk.read(lambda: over.wait(30)))
        gone = asyncio.ensure_future(desk.read(lambda: done.append("for nobody")))
        await asyncio.sleep(0.05)
        gone.cancel()
        await asyncio.sleep(0)
        over.set()
        await first
        await desk.read(lambda: done.append("for somebody"))

    asyncio.run(run())
    assert done == ["for somebody"]

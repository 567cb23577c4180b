"""A network that can be made slow or cut: a TCP proxy in front of a real server.

What a cut holds back arrives once it is healed, as TCP's own repetition would have it; nobody is
told that anything is wrong.
"""

import asyncio
import threading
import time
from contextlib import suppress
from typing import Self


class Wire:
    """Forwards connections from a port of its own.

    Attributes
    ----------
    delay
        Seconds that whatever is sent to the server takes.
    sent
        Pieces that went to the server so far, about one for each question.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.delay = 0.0
        self.sent = 0
        self._whole = threading.Event()
        self._whole.set()
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._connected, "127.0.0.1", 0)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Let nothing through from now on."""
        self._whole.clear()

    def heal(self) -> None:
        """Let everything through, what waited first."""
        self._whole.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.heal()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            far, there = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            back.close()
            return
        with suppress(asyncio.CancelledError):
            await asyncio.gather(self._carry(near, there, True), self._carry(far, back, False))

    async def _carry(
        self, come: asyncio.StreamReader, go: asyncio.StreamWriter, asked: bool
    ) -> None:
        """Carry on while what was read before is still under way: it is far, and not narrow."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        arriving = asyncio.create_task(self._arrive(under_way, go))
        try:
            while piece := await come.read(1 << 16):
                self.sent += asked
                under_way.put_nowait((time.monotonic() + (self.delay if asked else 0.0), piece))
        except OSError:
            return
        finally:
            under_way.put_nowait((time.monotonic(), b""))
            await arriving

    async def _arrive(
        self, under_way: "asyncio.Queue[tuple[float, bytes]]", go: asyncio.StreamWriter
    ) -> None:
        try:
            while (next_one := await under_way.get())[1]:
                arrives, piece = next_one
                while time.monotonic() < arrives or not self._whole.is_set():
                    await asyncio.sleep(0.005)
                go.write(piece)
                await go.drain()
        except OSError:
            return
        finally:
            go.close()

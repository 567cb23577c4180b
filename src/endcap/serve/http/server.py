"""Run the application on a port, and stop without breaking anybody off."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from endcap.schema.errors import ConfigError
from endcap.serve.http.leaving import let_nobody_begin
from endcap.serve.runtime import Runtime

NOTICE_SECONDS: Final = 1.0
"""After SIGTERM the server goes on for so long, so that balancers see /readyz fail and leave."""
ARRIVAL_SECONDS: Final = 0.25
"""Who has begun to connect when the notice is over may take so long to arrive."""
FIRST_REQUEST_SECONDS: Final = 1.0
"""Who has connected and said nothing yet may take so long to ask."""
BACKLOG: Final = 2048
KEEP_ALIVE_SECONDS: Final = 75


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a socket bound to `host` and `port` (0: any free one).

    Parameters
    ----------
    shared
        Whether others of this kind may listen beside it, each getting its part of the connections.

    Raises
    ------
    ConfigError
        When the port is in use or the address is not one of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"serve.host = {host!r}: {error.strerror}.") from error
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"Cannot listen on {host}, port {port}: {error.strerror}.",
            hint=f"Another one: endcap serve --port {port + 1}" if port else "",
        ) from error
    return bound


def listen_shared(host: str, port: int, count: int) -> list[socket.socket]:
    """Return `count` sockets of one port, for as many workers.

    Linux spreads connections over them evenly; elsewhere it is one socket that all listen to.

    Raises
    ------
    ConfigError
        As `listen`: the port must be free, so that two servers never share one by accident.
    """
    first = listen(host, port)
    if sys.platform != "linux" or count == 1:
        return [first] * count
    port = first.getsockname()[1]
    first.close()
    return [listen(host, port, shared=True) for _ in range(count)]


def address(bound: socket.socket) -> str:
    """Return the URL under which a socket is reached from this machine."""
    host, port = bound.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


class Server(uvicorn.Server):
    """A uvicorn server whose stop is announced before it happens.

    On SIGTERM ``/readyz`` fails at once and answers carry ``Connection: close``; after a moment no
    more connections are taken, whoever has connected is answered, what is being worked on is
    finished, what is queued is stored.
    """

    def __init__(
        self, app: FastAPI, *, drain_seconds: float, notice_seconds: float = NOTICE_SECONDS
    ) -> None:
        self._runtime: Runtime = app.state.runtime
        self._notice = min(notice_seconds, drain_seconds / 4)
        self.interrupted = False
        self.on_started: Callable[[], object] | None = None
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, int(drain_seconds - self._notice)),
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second Ctrl-C stops at once. The exit code stays ours to choose."""
        if sig == signal.SIGINT:
            self.force_exit = self.interrupted
            self.interrupted = True
            self._notice = 0.0  # somebody is waiting at the keyboard
        self._runtime.draining = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so to whoever asked."""
        await super().startup(sockets)
        if self.started and self.on_started:
            self.on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Go on for a moment, take in whoever has begun to come, then let uvicorn stop."""
        await asyncio.sleep(self._notice)
        if not self.interrupted and all(map(let_nobody_begin, sockets or [])):
            await asyncio.sleep(ARRIVAL_SECONDS)
        for server in self.servers:
            server.close()
        await self._hear_out()
        await super().shutdown(sockets)

    async def _hear_out(self) -> None:
        """Wait for the first request of those who have connected; uvicorn would hang up on them."""
        end = time.monotonic() + (0.0 if self.interrupted else FIRST_REQUEST_SECONDS)
        connections: Any = self.server_state.connections
        while time.monotonic() < end and any(one.cycle is None for one in connections):
            await asyncio.sleep(0.01)

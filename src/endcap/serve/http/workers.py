"""Several processes behind one port, as many as there are cores to use.

The supervisor holds a socket for each worker (Linux spreads the connections over them) and serves
nothing itself. What one worker stored the others see at once, over a `LocalBus`. A worker that
dies is replaced; its socket lives on in the supervisor, so that nobody who waits in it is refused.
"""

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final

import structlog
from prometheus_client import multiprocess

from endcap.schema.errors import EndcapError
from endcap.schema.settings import Settings
from endcap.serve import threads
from endcap.serve.http.app import create_app
from endcap.serve.http.server import Server
from endcap.serve.logs import configure_logs
from endcap.serve.metrics import SHARED_FOLDER
from endcap.serve.sharing_local import LocalBus, make_ring

RESPAWN_SECONDS: Final = 1.0
"""A worker that dies younger than this is replaced after a pause."""
GRACE_SECONDS: Final = 5.0
"""Beyond `drain_seconds`; who is not done by then is ended."""
_spawning = multiprocessing.get_context("spawn")  # a fork would copy threads' locks
log = structlog.get_logger(__name__)


class Workers:
    """Runs one worker for each socket until SIGTERM or Ctrl-C.

    Attributes
    ----------
    interrupted
        Whether somebody at the keyboard ended it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sockets: Sequence[socket.socket] = ()
        self._workers: dict[int, Any] = {}
        self._began: dict[int, float] = {}
        self._ready = _spawning.Value("i", 0)
        self._awake, self._wake = socket.socketpair()
        self._stopping = False
        self.interrupted = False

    def run(self, sockets: Sequence[socket.socket]) -> int:
        """Serve on `sockets`, as `server.listen_shared` makes them, and return the exit code."""
        self._sockets = sockets
        with TemporaryDirectory(prefix="endcap-") as place, self._signals():
            folder = Path(place)
            make_ring(folder / "ring")
            os.environ[SHARED_FOLDER] = place  # spawned workers count into files in it
            try:
                code = self._keep_alive(folder)
            finally:
                self._end()
                del os.environ[SHARED_FOLDER]
        return code

    def _keep_alive(self, folder: Path) -> int:
        while not self._stopping:
            for number in range(len(self._sockets)):
                if number not in self._workers:
                    self._start(number, folder)
            wait([self._awake, *(worker.sentinel for worker in self._workers.values())])
            for number, worker in list(self._workers.items()):
                if not worker.is_alive() and not self._stopping:
                    if not self._ready.value:
                        return worker.exitcode or 1  # it has said why
                    self._bury(number)
        return 0

    def _start(self, number: int, folder: Path) -> None:
        young = time.monotonic() - self._began.get(number, -RESPAWN_SECONDS)
        if young < RESPAWN_SECONDS:
            time.sleep(RESPAWN_SECONDS - young)
        worker = _spawning.Process(
            target=_work, args=(self._settings, self._sockets[number], folder, self._ready)
        )
        worker.start()
        self._workers[number], self._began[number] = worker, time.monotonic()

    def _bury(self, number: int) -> None:
        worker = self._workers.pop(number)
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
        log.error("worker died; another takes its place", pid=worker.pid, code=worker.exitcode)

    def _end(self) -> None:
        """Have every worker finish what it is doing.

        The sockets are theirs alone from now on: while one is open here, too, connections would
        go on arriving after the worker that could take them has left.
        """
        for bound in self._sockets:
            bound.close()
        for worker in self._workers.values():
            if worker.is_alive():
                os.kill(worker.pid, signal.SIGTERM)
        deadline = time.monotonic() + self._settings.serve.drain_seconds + GRACE_SECONDS
        for worker in self._workers.values():
            worker.join(max(0.0, deadline - time.monotonic()))
            if worker.is_alive():
                log.error("worker did not stop in time", pid=worker.pid)
                worker.kill()
                worker.join()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = {sig: signal.signal(sig, self._stop) for sig in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)
            self._awake.close()
            self._wake.close()

    def _stop(self, sig: int, frame: FrameType | None) -> None:
        self.interrupted |= sig == signal.SIGINT
        self._stopping = True
        self._wake.send(b"!")


def _work(settings: Settings, bound: socket.socket, folder: Path, ready: Any) -> None:
    """Be a worker: serve on `bound` until SIGTERM, or until the supervisor is gone."""
    configure_logs(as_json=not sys.stderr.isatty())
    threads.one_for_each_request()
    try:
        app = create_app(settings, bus=LocalBus(folder / "ring"))
    except EndcapError as error:
        sys.stderr.write(f"endcap: {error}\n")
        sys.exit(error.exit_code)
    threading.Thread(target=_follow_supervisor, daemon=True).start()
    server = Server(app, drain_seconds=settings.serve.drain_seconds)
    server.on_started = lambda: _count(ready)
    server.run(sockets=[bound])


def _count(ready: Any) -> None:
    with ready.get_lock():
        ready.value += 1


def _follow_supervisor() -> None:
    """Stop when the supervisor has died: nobody would replace or stop this worker any more."""
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None
    supervisor.join()
    os.kill(os.getpid(), signal.SIGTERM)

"""Several processes behind one port, as many as there are cores to use.

The supervisor holds a socket for each worker (Linux spreads the connections over them) and serves
nothing itself. On Linux a worker is a fork of it: what was imported once is there, and its memory
is shared. What one worker stored the others see at once, over a `LocalBus`. A worker that
dies is replaced; its socket lives on in the supervisor, so that nobody who waits in it is refused.
"""

import gc
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
from prometheus_client import multiprocess, values

from endcap.schema.errors import EndcapError
from endcap.schema.settings import Settings
from endcap.serve import threads
from endcap.serve.http.app import create_app
from endcap.serve.http.server import Server
from endcap.serve.logs import configure_logs
from endcap.serve.metrics import SHARED_FOLDER
from endcap.serve.rates_shared import SharedCounts, make_counts
from endcap.serve.sharing_local import LocalBus, make_ring

RESPAWN_SECONDS: Final = 1.0
"""A worker that dies younger than this is replaced after a pause."""
GRACE_SECONDS: Final = 5.0
"""Beyond `drain_seconds`; who is not done by then is ended."""
_spawning: Any = multiprocessing.get_context("spawn")
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
            make_counts(folder / "rates")
            gc.collect()
            gc.freeze()  # a fork that looks for garbage in them would copy its pages
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
        bound = self._sockets[number]
        work = (self._settings, bound, folder, self._ready)
        if sys.platform == "linux" and threading.active_count() == 1:  # else locks are copied, too
            not_mine = [self._awake, self._wake, *(s for s in self._sockets if s is not bound)]
            forking: Any = multiprocessing.get_context("fork")
            worker = forking.Process(target=_forked, args=(not_mine, *work))
        else:
            worker = _spawning.Process(target=_work, args=work)
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


def _forked(not_mine: Sequence[socket.socket], *work: Any) -> None:
    """Be a worker that was the supervisor a moment ago: let go of what is the supervisor's."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for other in not_mine:  # a connection must not wait in a socket whose worker has left
        other.close()
    _work(*work)


def _work(settings: Settings, bound: socket.socket, folder: Path, ready: Any) -> None:
    """Be a worker: serve on `bound` until SIGTERM, or until the supervisor is gone."""
    configure_logs(as_json=not sys.stderr.isatty())
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]  # it was chosen before `SHARED_FOLDER` was set
    threads.one_for_each_request()
    try:
        counts = SharedCounts(folder / "rates")
        app = create_app(settings, bus=LocalBus(folder / "ring"), counts=counts)
    except EndcapError as error:
        sys.stderr.write(f"endcap: {error}\n")
        sys.exit(error.exit_code)
    threading.Thread(target=_follow_supervisor, daemon=True).start()
    server = Server(app, drain_seconds=settings.serve.drain_seconds)
    server.on_started = lambda: _count(ready)
    server.run(sockets=[bound])


def _count(ready: Any) -> None:
    threads.keep_what_is_loaded()
    with ready.get_lock():
        ready.value += 1


def _follow_supervisor() -> None:
    """Stop when the supervisor has died: nobody would replace or stop this worker any more."""
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None
    supervisor.join()
    os.kill(os.getpid(), signal.SIGTERM)

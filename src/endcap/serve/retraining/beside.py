"""A worker beside a server: begun with it, begun again when it dies, ended with it."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from endcap.schema.settings import Settings
from endcap.serve.metrics import SHARED_FOLDER

AGAIN_SECONDS: Final = 5.0
GRACE_SECONDS: Final = 10.0
log = structlog.get_logger(__name__)


class WorkerBeside:
    """Runs ``endcap worker`` while the block lasts.

    The worker reads a pipe that nobody writes to: when this process is gone, however it ended,
    the pipe ends and the worker with it.

    Parameters
    ----------
    settings, config
        Those of the server.
    """

    def __init__(self, settings: Settings, config: Path | None = None) -> None:
        self._words = [sys.executable, "-m", "endcap", "worker", "--tied"]
        self._words += ["--folder", str(settings.store.folder)]
        self._words += ["--config", str(config)] if config else []
        self._end = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep_alive, name="worker", daemon=True)

    def __enter__(self) -> Self:
        self._process = self._start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()
        if self._process is not None:
            _stop(self._process)

    def _start(self) -> "subprocess.Popen[bytes]":
        env = {name: value for name, value in os.environ.items() if name != SHARED_FOLDER}
        return subprocess.Popen(  # noqa: S603
            self._words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env
        )

    def _keep_alive(self) -> None:
        while not self._end.wait(0.5):
            assert self._process is not None
            code = self._process.poll()
            if code is None:
                continue
            log.error("worker beside the server died; another begins soon", code=code)
            if not self._end.wait(AGAIN_SECONDS):
                self._process = self._start()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdin is not None
    process.stdin.close()

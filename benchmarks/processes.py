"""Processes that a benchmark starts: a server to measure, and whoever measures it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import psutil

CALM_SECONDS: Final = 0.5


@contextmanager
def served(
    command: list[str], env: Mapping[str, str] | None = None
) -> Iterator[tuple[psutil.Process, str]]:
    """Lend a server and the URL that it says first; it is told to stop in the end."""
    whole = {**os.environ, **(env or {})}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=whole) as server:
        try:
            assert server.stdout is not None
            yield psutil.Process(server.pid), server.stdout.readline().strip()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


def serving(server: psutil.Process) -> list[psutil.Process]:
    """Return the processes that answer: the workers of a server, or it alone."""
    workers = [p for p in server.children() if "resource_tracker" not in " ".join(p.cmdline())]
    return workers or [server]


def said(module: str, work: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a process of its own found: ``python -m MODULE JSON``."""
    command = [sys.executable, "-m", module, json.dumps(work)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def until_calm(processes: list[psutil.Process], seconds: float = 60) -> None:
    """Wait until processes have done what they do once after their start."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = spent(processes)
        time.sleep(CALM_SECONDS)
        if spent(processes) - before < CALM_SECONDS / 10:
            return


def spent(processes: list[psutil.Process]) -> float:
    """Return the seconds that processes have computed."""
    return sum(t.user + t.system for t in (process.cpu_times() for process in processes))

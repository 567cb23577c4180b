"""One training as a process of its own, below everything else that the machine does."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from endcap.schema.errors import DataError
from endcap.schema.settings import Settings
from endcap.serve.metrics import SHARED_FOLDER
from endcap.serve.retraining.runs import Result

POLL_SECONDS: Final = 0.1
GRACE_SECONDS: Final = 5.0
THREADS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "ENDCAP_PREPARE__THREADS",
)


class Outcome(NamedTuple):
    """What a training came to."""

    result: Result
    artefact: str = ""
    why: str = ""


def command(settings: Settings, config: Path | None = None) -> list[str]:
    """Return the command that trains as the settings say."""
    worker = settings.worker
    words = [sys.executable, "-m", "endcap", "train", "--json"]
    words += ["--folder", str(settings.store.folder)]
    words += ["--config", str(config)] if config else []
    if worker.recipe:
        return [*words, "--recipe", worker.recipe]
    words += ["--budget", f"{worker.budget_seconds:g}s"]
    return [*words, "--keep-seen"] if worker.keep_seen else words


def train(words: Sequence[str], end: threading.Event, *, nice: int, threads: int) -> Outcome:
    """Run a training to its end, or until `end` is set: then it is told to stop, and waited for.

    What serves is safe either way: an artefact becomes current by one rename, at the very end.
    """
    if end.is_set():
        return Outcome("stopped")
    few = dict.fromkeys(THREADS, str(threads))
    env = {k: v for k, v in os.environ.items() if k != SHARED_FOLDER} | few
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603
            words, stdin=subprocess.DEVNULL, stdout=said, stderr=errors, env=env
        )
        _step_back(process.pid, nice)
        stopped = _wait(process, end)
        said.seek(0)
        errors.seek(0)
        if stopped:
            return Outcome("stopped")
        return _outcome(process.returncode, said.read(), errors.read())


def _step_back(pid: int, nice: int) -> None:
    try:
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    except ProcessLookupError:
        return  # it is over already, and will be asked why


def _wait(process: "subprocess.Popen[bytes]", end: threading.Event) -> bool:
    """Return whether it was told to stop before it ended by itself."""
    while process.poll() is None:
        if end.wait(POLL_SECONDS):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            return True
    return False


def _outcome(code: int, said: bytes, errors: bytes) -> Outcome:
    if code:
        lines = errors.decode(errors="replace").strip().splitlines()
        why = " ".join(line.strip() for line in lines[-3:]) or f"exit code {code}"
        return Outcome("nothing" if code == DataError.exit_code else "failed", why=why)
    told = json.loads(said.splitlines()[-1])
    contest = (told.get("learning") or {}).get("contest")
    kept = contest is not None and not contest["won"]
    return Outcome("kept" if kept else "promoted", told["artefact"])

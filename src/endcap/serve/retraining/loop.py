"""The loop that looks, and trains when it is due."""

import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final

import structlog

from endcap.events.store import Store
from endcap.recommend.artefacts import current, load_artefact, training_lock
from endcap.schema.errors import ArtefactError, BusyError, EndcapError
from endcap.schema.kinds import KINDS
from endcap.schema.settings import Settings
from endcap.serve.retraining import child, runs
from endcap.serve.retraining.drift import Drift, DriftWatch
from endcap.serve.retraining.due import due
from endcap.serve.state import utc_now

LOCK: Final = "worker.lock"
log = structlog.get_logger(__name__)


class Retrainer:
    """Looks at a shop now and then, and has it learn anew when that is due.

    Parameters
    ----------
    settings
        Where, when and how.
    store
        Whose log tells what is new.
    command
        What trains; see `child.command`.
    clock
        Returns the time, UTC.

    Stability: caller.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        command: list[str],
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._settings = settings
        self._folder = settings.store.folder
        self._store = store
        self._command = command
        self._clock = clock
        self._kinds = {**{n: k.weight for n, k in KINDS.items()}, **settings.events.kinds}
        self._watch: DriftWatch | None = None
        self._serving: str | None = None
        self._trained: datetime | None = None

    def run(self, end: threading.Event) -> None:
        """Look until `end` is set; while another worker looks after the folder, stand by."""
        waiting = False
        while not end.is_set():
            try:
                with only_worker(self._folder):
                    log.info("worker at work", folder=str(self._folder))
                    self._look_after(end)
            except BusyError as error:
                if not waiting:
                    log.info("worker stands by", reason=error.message)
                waiting = True
                end.wait(self._settings.worker.look_seconds)

    def once(self, end: threading.Event) -> runs.Run | str:
        """Look once and train where it is due; return the run, or why there was none.

        Raises
        ------
        BusyError
            When another worker looks after the folder.
        """
        with only_worker(self._folder):
            return self._look(end)

    def _look_after(self, end: threading.Event) -> None:
        while not end.is_set():
            try:
                self._look(end)
            except (EndcapError, OSError) as error:  # a store that is away comes back
                log.error("worker cannot look", error=str(error))
            end.wait(self._settings.worker.look_seconds)

    def _look(self, end: threading.Event) -> runs.Run | str:
        worker = self._settings.worker
        drift = self._drift()
        record = runs.read(self._folder).seen(drift)
        runs.write(self._folder, record)
        now = self._clock()
        reason = due(self._trained, drift, worker, now)
        if reason is None:
            return "not due"
        wait_until = record.next_try(timedelta(minutes=worker.retry_minutes))
        if wait_until and now < wait_until:
            return f"{reason}; not before {wait_until:%Y-%m-%d %H:%M:%S} UTC, after a failure"
        if is_training(self._folder):
            return f"{reason}; another training runs"
        return self._train(reason, record, end)

    def _train(self, reason: str, record: runs.Record, end: threading.Event) -> runs.Run:
        worker = self._settings.worker
        log.info("training begins", reason=reason)
        began, ticks = self._clock(), time.monotonic()
        outcome = child.train(self._command, end, nice=worker.nice, threads=worker.threads)
        seconds = round(time.monotonic() - ticks, 3)
        run = runs.Run(began, reason, outcome.result, seconds, outcome.artefact, outcome.why)
        runs.write(self._folder, record.after(run))
        tell = log.error if run.result == "failed" else log.info
        tell(
            "training ended",
            result=run.result,
            reason=reason,
            seconds=seconds,
            artefact=run.artefact,
            why=run.why,
        )
        return run

    def _drift(self) -> Drift:
        """Return the figures against what serves now; without any, only what there is to learn."""
        serving = current(self._folder)
        if serving is None or not self._follow(serving):
            self._trained = None
            return Drift(self._learnable())
        assert self._watch is not None
        return self._watch.look()

    def _follow(self, serving: str) -> bool:
        if serving == self._serving:
            return self._watch is not None
        self._serving, self._watch = serving, None
        try:
            artefact = load_artefact(self._folder, serving)
        except ArtefactError as error:
            log.warning("what serves cannot be read", artefact=serving, reason=str(error))
            return False
        self._trained = datetime.fromisoformat(artefact.facts["created"]).astimezone(UTC)
        self._watch = DriftWatch(self._store, self._kinds, artefact)
        return True

    def _learnable(self) -> int:
        kinds = [kind for kind, weight in self._kinds.items() if weight > 0]
        tail = self._store.log.tail(0, self._store.log.newest(), kinds)
        _, first = next(tail, (0, None))
        return 0 if first is None else int(first.num_rows)


@contextmanager
def only_worker(folder: Path) -> Iterator[IO[str]]:
    """Hold the right to look after `folder`; it goes with the process, however that ends.

    Raises
    ------
    BusyError
        When another worker has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                f"Another worker looks after {folder}.", hint="One is enough."
            ) from error
        yield handle


def is_training(folder: Path) -> bool:
    """Return whether somebody trains in `folder` now."""
    try:
        with training_lock(folder):
            return False
    except BusyError:
        return True

"""What the worker of a folder did, in one small file that outlives it."""

import os
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from endcap.serve.retraining.drift import Drift

FILE_NAME: Final = "worker.json"
KEPT: Final = 20
LONGEST: Final = timedelta(days=1)
Result = Literal["promoted", "kept", "nothing", "failed", "stopped"]
"""``promoted``: another recipe won; ``kept``: the one before, fitted on the new events;
``nothing``: there was too little to learn from; ``stopped``: by a signal."""
RESULTS: Final[tuple[Result, ...]] = ("promoted", "kept", "nothing", "failed", "stopped")


class Run(msgspec.Struct, frozen=True):
    """One training: why, what came of it, and how long it took."""

    began: datetime
    reason: str
    result: Result
    seconds: float
    artefact: str = ""
    why: str = ""


class Record(msgspec.Struct, frozen=True):
    """All that is kept.

    Attributes
    ----------
    counts
        Runs by result, ever.
    failures
        Since the last that succeeded.
    runs
        The latest, oldest first.
    drift
        As last looked at.
    """

    counts: dict[str, int] = {}
    failures: int = 0
    runs: list[Run] = []
    drift: Drift = Drift()

    def after(self, run: Run) -> "Record":
        """Return the record with one more run."""
        counts = {**self.counts, run.result: self.counts.get(run.result, 0) + 1}
        failures = self.failures + 1 if run.result in {"failed", "nothing"} else self.failures
        if run.result in {"promoted", "kept"}:
            failures = 0
        return Record(counts, failures, [*self.runs, run][-KEPT:], self.drift)

    def seen(self, drift: Drift) -> "Record":
        """Return the record with other figures of drift."""
        return msgspec.structs.replace(self, drift=drift)

    def next_try(self, retry: timedelta) -> datetime | None:
        """Return before when not to try again: the wait doubles with each failure."""
        if not self.failures or not self.runs:
            return None
        last = self.runs[-1]
        wait = min(retry * float(1 << min(self.failures - 1, 30)), LONGEST)
        return last.began + timedelta(seconds=last.seconds) + wait


def read(folder: Path) -> Record:
    """Return what is on record; nothing where there is none or it cannot be read."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError):
        return Record()


def write(folder: Path, record: Record) -> None:
    """Replace the record as a whole."""
    handle, draft = tempfile.mkstemp(prefix=f".{FILE_NAME}-", dir=folder)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(record)))
    Path(draft).replace(folder / FILE_NAME)


class RunsCollector(Collector):
    """The record of a folder as Prometheus metrics, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        record = read(self._folder)
        runs = CounterMetricFamily("endcap_train_runs", "Trainings by result.", labels=["result"])
        for result in RESULTS:
            runs.add_metric([result], record.counts.get(result, 0))
        yield runs
        drift = GaugeMetricFamily(
            "endcap_drift", "How far the shop moved since the last training.", labels=["figure"]
        )
        for name, value in msgspec.structs.asdict(record.drift).items():
            drift.add_metric([name], value)
        yield drift
        if record.runs:
            last = record.runs[-1]
            yield GaugeMetricFamily(
                "endcap_train_last_seconds", "How long the last training took.", last.seconds
            )
            yield GaugeMetricFamily(
                "endcap_train_last_timestamp_seconds",
                "When the last training began.",
                last.began.timestamp(),
            )


def metrics(folder: Path) -> bytes:
    """Return the record in the text format of Prometheus; nothing where no worker ever ran."""
    if not (folder / FILE_NAME).exists():
        return b""
    registry = CollectorRegistry()
    registry.register(RunsCollector(folder))
    return generate_latest(registry)

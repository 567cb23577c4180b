"""Stream workers to test: in a process of their own, or here on a store that is weakened.

Run as a program, a worker on a store that some events bring down, or with it the whole process:
given a broker, a folder and ``poisoned`` or ``deadly``.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from brokers import RETRY_SECONDS, Broker, source_of

from endcap.events.opening import open_store
from endcap.events.store import Receipt, Store
from endcap.schema.errors import DataError, StoreError
from endcap.schema.settings import EventSettings, StoreSettings
from endcap.serve.streams.formats import Plain
from endcap.serve.streams.worker import StreamWorker


def good(count: int, prefix: str = "e") -> list[bytes]:
    return [
        json.dumps(
            {
                "event_id": f"{prefix}{n}",
                "kind": "view",
                "user_id": f"u{n % 9}",
                "item_id": f"i{n % 7}",
            }
        ).encode()
        for n in range(count)
    ]


def lag(worker: StreamWorker) -> float | None:
    """Return what the worker itself says, which knows what it holds."""
    return worker.registry.get_sample_value("endcap_stream_lag")


@contextmanager
def worker(url: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run a worker, which is dead when this ends, however it does."""
    command = [str(Path(sys.prefix) / "bin" / "endcap"), "stream", url, "--folder", str(folder)]
    with running([*command, "--retry-seconds", str(RETRY_SECONDS), "--group", "g"]) as process:
        yield process


def poisoned_worker(
    url: str, folder: Path, how: str = "poisoned"
) -> AbstractContextManager["subprocess.Popen[str]"]:
    """Run a worker that poison brings down."""
    return running([sys.executable, __file__, url, str(folder), how])


@contextmanager
def running(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """Run a program until this ends, however it does."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def stored(folder: Path) -> list[str]:
    with closing(open_store(StoreSettings(folder=folder))) as store:
        return [i for batch in store.log.scan() for i in batch["event_id"].to_pylist()]


class Inside:
    """A worker in a thread of this process, on a store that a test may have weakened."""

    def __init__(
        self,
        broker: Broker,
        store: Any,
        kind: type[StreamWorker] = StreamWorker,
        plain: Plain | None = None,
    ) -> None:
        source = broker.source()
        self.worker = kind(store, source, EventSettings(), name="test", plain=plain)
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),))
        self._ready = threading.Event()

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        try:
            await self.worker.run(self._end)
        except Exception as error:  # for the test to look at
            self.error = error

    def __enter__(self) -> StreamWorker:
        self._thread.start()
        self._ready.wait()
        return self.worker

    def __exit__(self, *_: object) -> None:
        if self.error is None:
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()


class Log:
    """An event log in front of another."""

    def __init__(self, log: Any) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


class Poisoned(Log):
    """Goes down, as by a bug, over some events."""

    tries = 0

    def submit(self, events: Any, **more: Any) -> "Future[Receipt]":
        if any(name.startswith("poison") for name in events["event_id"].to_pylist()):
            self.tries += events.num_rows == 1
            raise DataError("This one brings me down.")
        future: Future[Receipt] = self._log.submit(events, **more)
        return future


class Deadly(Log):
    """Takes the whole process down over some events, as running out of memory does."""

    def submit(self, events: Any, **more: Any) -> "Future[Receipt]":
        if any(name.startswith("poison") for name in events["event_id"].to_pylist()):
            os._exit(9)
        future: Future[Receipt] = self._log.submit(events, **more)
        return future


class Hasty(Log):
    """Says that events are stored, and has forgotten them when the process ends before it wrote."""

    def submit(self, events: Any, **more: Any) -> "Future[Receipt]":
        told: Future[Receipt] = Future()
        told.set_result(Receipt(received=events.num_rows, stored=events.num_rows))
        return told


class Away(Log):
    """Takes nothing until it is back."""

    def __init__(self, log: Any) -> None:
        super().__init__(log)
        self.back, self.asked = False, 0

    def submit(self, events: Any, **more: Any) -> "Future[Receipt]":
        self.asked += 1
        if not self.back:
            raise StoreError("The store is away.")
        future: Future[Receipt] = self._log.submit(events, **more)
        return future


def weakened(folder: Path, kind: type[Log]) -> tuple[Store, Any]:
    store: Any = open_store(StoreSettings(folder=folder))
    store.log = kind(store.log)
    return store, store.log


def main() -> None:
    store, _ = weakened(Path(sys.argv[2]), {"poisoned": Poisoned, "deadly": Deadly}[sys.argv[3]])
    worker = StreamWorker(store, source_of(sys.argv[1]), EventSettings(), name="test")
    asyncio.run(worker.run(asyncio.Event()))


if __name__ == "__main__":
    main()

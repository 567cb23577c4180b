"""Stream workers to test: in a process of their own, or here on a store that is weakened."""

import asyncio
import json
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

from brokers import RETRY_SECONDS, Broker

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


def worker(url: str, folder: Path) -> "subprocess.Popen[str]":
    command = [str(Path(sys.prefix) / "bin" / "endcap"), "stream", url, "--folder", str(folder)]
    more = ["--retry-seconds", str(RETRY_SECONDS), "--group", "g"]
    return subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True)


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
    """Goes down, as by a bug, over one event."""

    tries = 0

    def submit(self, events: Any, **more: Any) -> "Future[Receipt]":
        if "poison" in events["event_id"].to_pylist():
            self.tries += events.num_rows == 1
            raise DataError("This one brings me down.")
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

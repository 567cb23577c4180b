"""A server in a process of its own, and clients that write down what it acknowledged."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from endcap.events.opening import open_store
from endcap.schema.settings import StoreSettings

ENDCAP = [str(Path(sys.prefix) / "bin" / "endcap"), "serve", "--port", "0"]
ODD = [sys.executable, str(Path(__file__).parent / "odd_shop.py")]
ITEMS = 20
"""In a shop that `fill` has filled."""


class ShopProcess:
    """``endcap serve`` (or an oddly weakened server) on a folder."""

    def __init__(
        self,
        folder: Path,
        command: Sequence[str] = ENDCAP,
        *,
        before: Sequence[str] = (),
        env: dict[str, str] | None = None,
    ) -> None:
        self._errors = folder.parent / f"{folder.name}.stderr"
        with self._errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [*before, *command, "--folder", str(folder)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "ENDCAP_SERVE__TIMEOUT_MS": "30000", **(env or {})},
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http"), self.said()

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30)

    def said(self) -> str:
        return self._errors.read_text(errors="replace")[-4000:]

    def kill(self) -> None:
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        try:
            return self.process.wait(60)
        finally:
            assert self.process.stdout is not None
            self.process.stdout.close()

    def __enter__(self) -> "ShopProcess":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()


def fill(shop: ShopProcess) -> None:
    """Give a shop something to learn and to show."""
    with shop.client() as client:
        items = [{"item_id": f"i{n}", "title": f"Item {n}"} for n in range(ITEMS)]
        assert client.put("/v1/items", json={"items": items}).status_code == 200
        rows = [
            {
                "kind": "purchase",
                "user_id": f"u{n % 50}",
                "item_id": f"i{(n + n // 50 * 3) % ITEMS}",
            }
            for n in range(400)
        ]
        assert client.post("/v1/events/batch", json={"events": rows}).json()["stored"] == 400


class Customers:
    """Threads that send batches and write down each acknowledgement before they send the next.

    A batch without an answer (the server died) is sent again to the next server, as a patient
    client does. `resets` counts connections that were cut while a request was out, `refused` the
    answers that were no acknowledgement, by their status.
    """

    def __init__(self, ledger: Path, *, threads: int = 8, batch: int = 5, seed: int = 0) -> None:
        self._ledger = ledger
        self._threads = threads
        self._batch = batch
        self._name = f"s{seed}-" if seed else ""
        self._pending: list[list[str]] = [[] for _ in range(threads)]
        self._count = [0] * threads
        self._lock = threading.Lock()
        self.resets = 0
        self.refused: Counter[int] = Counter()

    def load(self, url: str) -> "Load":
        return Load(self, url)

    def acknowledged(self) -> set[str]:
        return set(self._ledger.read_text().split()) if self._ledger.exists() else set()

    def visit(self, number: int, url: str, leave: threading.Event) -> None:
        with httpx.Client(base_url=url, timeout=30) as client, self._ledger.open("a") as ledger:
            while not leave.is_set():
                ids = self._pending[number] or self._next(number)
                self._pending[number] = ids
                try:
                    answer = client.post("/v1/events/batch", json={"events": _events(ids)})
                except httpx.ConnectError:
                    return  # nobody listens: nothing was cut off
                except httpx.TransportError:
                    with self._lock:
                        self.resets += 1
                    return
                if answer.status_code == 202:
                    ledger.write(" ".join(ids) + "\n")
                    ledger.flush()
                    self._pending[number] = []
                else:
                    with self._lock:
                        self.refused[answer.status_code] += 1
                    time.sleep(0.02)  # refused: a client that hammers on helps nobody
                if answer.headers.get("connection") == "close":
                    return  # the server asks us to leave; a balancer would send us elsewhere

    def _next(self, number: int) -> list[str]:
        start = self._count[number]
        self._count[number] += self._batch
        return [f"{self._name}{number}-{start + n}" for n in range(self._batch)]

    @property
    def threads(self) -> int:
        return self._threads


class Crowd:
    """Threads at work until they are told to leave, each by its number."""

    def __init__(self, work: Callable[[int, threading.Event], None], threads: int) -> None:
        self._leave = threading.Event()
        self._threads = [
            threading.Thread(target=work, args=(n, self._leave)) for n in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        for thread in self._threads:
            thread.join()


class Stubborn(Crowd):
    """Threads that open a connection for each request until nobody listens.

    Attributes
    ----------
    answers
        How many had an answer, by status; ``cut``: how many had connected and were turned away.
    """

    def __init__(self, url: str, threads: int = 6) -> None:
        self.answers: Counter[str] = Counter()
        self._place = httpx.URL(url).host, httpx.URL(url).port or 80
        self._lock = threading.Lock()
        super().__init__(lambda number, leave: self._visit(leave), threads)

    def _visit(self, leave: threading.Event) -> None:
        while not leave.is_set():
            try:
                connection = socket.create_connection(self._place, timeout=30)
            except OSError:
                return  # nobody listens: nothing was cut off
            with connection:
                told = _told(connection)
            with self._lock:
                self.answers[told] += 1


def _told(connection: socket.socket) -> str:
    """Ask for a slate and return the status; ``cut`` where there is no whole answer."""
    ask = b"GET /v1/recommendations?k=3 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
    answer = b""
    try:
        connection.sendall(ask)
        while more := connection.recv(65_536):
            answer += more
    except OSError:
        return "cut"
    return answer[9:12].decode() or "cut"


class Load(Crowd):
    """Customers at work against one server."""

    def __init__(self, customers: Customers, url: str) -> None:
        super().__init__(
            lambda number, leave: customers.visit(number, url, leave), customers.threads
        )


class Askers(Crowd):
    """Threads that ask for slates until they are told to stop, and count the answers.

    Attributes
    ----------
    answers
        How many, by status and by whether it was a full slate or an honest refusal (503).
    artefacts, levels
        What answered.
    degraded
        How many said that they were not what they should be.
    longest
        Seconds that somebody waited at most.
    """

    def __init__(self, url: str, threads: int, k: int = 5) -> None:
        self.answers: Counter[tuple[int, bool]] = Counter()
        self.artefacts: set[str] = set()
        self.levels: set[str] = set()
        self.degraded = 0
        self.longest = 0.0
        self._k = k
        self._lock = threading.Lock()
        super().__init__(lambda number, leave: self._ask(url, number, leave), threads)

    def _ask(self, url: str, number: int, leave: threading.Event) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not leave.is_set():
                began = time.monotonic()
                answer = client.get(f"/v1/recommendations?user_id=u{number}&k={self._k}")
                with self._lock:
                    self.longest = max(self.longest, time.monotonic() - began)
                    self._count(answer)

    def _count(self, answer: httpx.Response) -> None:
        told = answer.json()
        full = answer.status_code == 200 and len(told["items"]) == self._k
        come_back = answer.status_code == 503 and "retry-after" in answer.headers
        self.answers[answer.status_code, full or come_back] += 1
        if full:
            self.artefacts.add(told["artefact"])
            self.levels.add(told["served_by"])
            self.degraded += told["degraded"]


def _events(ids: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "event_id": i,
            "kind": "view",
            "user_id": f"u{hash(i) % 50}",
            "item_id": f"i{hash(i) % 20}",
        }
        for i in ids
    ]


def stored(folder: Path) -> list[str]:
    """Return the ids of all stored events but impressions, read without a server."""
    store = open_store(StoreSettings(folder=folder))
    try:
        batches = store.log.scan(kinds=["view", "purchase", "click"])
        return [i for batch in batches for i in batch.column("event_id").to_pylist()]
    finally:
        store.close()

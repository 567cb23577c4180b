"""The load of `serving`, sent by a process of its own: ``python -m benchmarks.serving_load JSON``.

A client of a few lines over bare sockets: one that costs as much as the server would measure
itself, for both share the machine's cores. In the open loop requests leave at fixed times, and each
is timed from when it should have left: a server that falls behind cannot hide it.
"""

import asyncio
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
import uvloop

K, FILTER = 20, "price < 90 and stock > 0"
SHOPPERS = 50
"""Connections."""
PATIENCE_MS = 10_000
"""The ceiling waits for the models: else it would be that of the catalogue that stands in."""
LATE = b'"served_by":"catalogue"'
Work = dict[str, Any]
Ask = Callable[["Line", int], Awaitable[str]]


class Line(asyncio.Protocol):
    """One kept connection: one request at a time, HTTP/1.1."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._got = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to ``http://host:port``."""
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        line = cls(parts.netloc)
        await loop.create_connection(lambda: line, parts.hostname or "", parts.port or 80)
        return line

    async def send(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Send a request; return the status and the body of its answer.

        Parameters
        ----------
        body
            JSON as bytes, or what is to be written as JSON.
        """
        content = body if isinstance(body, bytes) else b""
        if body is not None and not content:
            content = json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: {self._host}\r\n"
        if content:
            head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n"
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(head.encode() + b"\r\n" + content)
        return await self._answer

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.Protocol`."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._got += data
        head, end, rest = self._got.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(rest) >= length and self._answer:
            self._got = rest[length:]
            answer, self._answer = self._answer, None
            answer.set_result((int(head[9:12]), rest[:length]))

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server hung up"))


async def run(work: Work) -> dict[str, Any]:
    """Send what `work` says (``way``: open, closed or pairs) and return its figures."""
    urls = work["urls"]
    if work["way"] == "pairs":
        both = (*urls, urls[0])[:2]
        shoppers = [(await Line.open(both[0]), await Line.open(both[1])) for _ in range(SHOPPERS)]
        gc.freeze()
        return await _pairs(shoppers, work)
    lines = [await Line.open(urls[0]) for _ in range(SHOPPERS)]
    gc.freeze()
    ask = asker(work["items"], PATIENCE_MS if work["way"] == "closed" else 0)
    await asyncio.gather(*(ask(line, -n) for n, line in enumerate(lines, 1)))
    if work["way"] == "open":
        return await _open(lines, ask, work["seconds"], work["rate"])
    return await _closed(lines, ask, work["seconds"])


def asker(items: int, patience_ms: int) -> Ask:
    """Return what asks for the slate of a shopper whom no cache knows: a new one each time.

    It tells what became of it: ``"not_200"``, ``"late"`` when the catalogue stood in for the
    models, or nothing. The server's own deadline holds where `patience_ms` is 0.
    """
    seen = np.random.default_rng(2).integers(0, items, (4096, 5)).tolist()
    users = items // 5 + 1

    async def ask(line: Line, number: int) -> str:
        body: dict[str, Any] = {
            "user_id": f"u{number % users}",
            "context_items": [f"i{n}" for n in seen[number % len(seen)]],
            "k": K,
            "filter": FILTER,
        }
        if patience_ms:
            body["timeout_ms"] = patience_ms
        status, told = await line.send("POST", "/v1/recommendations", body)
        if status != 200:
            return "not_200"
        return "late" if LATE in told else ""

    return ask


def told(wrong: Counter[str]) -> dict[str, int]:
    """Return how many answers were no slates, and how many the catalogue gave in time."""
    return {"not_200": wrong["not_200"], "late": wrong["late"]}


async def _open(lines: list[Line], ask: Ask, seconds: float, rate: float) -> dict[str, Any]:
    took: list[float] = []
    wrong: Counter[str] = Counter()
    free: asyncio.Queue[Line] = asyncio.Queue()
    for line in lines:
        free.put_nowait(line)
    start = time.perf_counter() + 0.1

    async def one(number: int, due: float) -> None:
        line = await free.get()
        wrong[await ask(line, number)] += 1
        took.append(time.perf_counter() - due)
        free.put_nowait(line)

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(number, due))
    return {"rate": rate, **told(wrong), **latency(took)}


async def _closed(lines: list[Line], ask: Ask, seconds: float) -> dict[str, Any]:
    took: list[float] = []
    wrong: Counter[str] = Counter()
    end = time.perf_counter() + seconds

    async def one(number: int, line: Line) -> None:
        while (began := time.perf_counter()) < end:
            wrong[await ask(line, number)] += 1
            took.append(time.perf_counter() - began)
            number += SHOPPERS

    await asyncio.gather(*(one(n, line) for n, line in enumerate(lines)))
    return {"per_s": round(len(took) / seconds, 1), **told(wrong), **latency(took)}


async def _pairs(shoppers: list[tuple[Line, Line]], work: Work) -> dict[str, Any]:
    """Let shoppers buy what they are shown; whoever is shown it again has not been heard.

    A shopper has two connections, to two replicas or to whichever workers take them: what is told
    over one is asked about over the other.
    """
    missed = 0
    took: list[float] = []

    async def shop(shopper: int, lines: tuple[Line, Line]) -> None:
        nonlocal missed
        who = f"pairs-{shopper}-{time.time_ns()}"
        ask = f"/v1/recommendations?visitor_id={who}&k=5"
        shown = await _items(lines[0], ask)
        for turn in range(work["pairs"] // SHOPPERS):
            line, other = lines[turn % 2], lines[1 - turn % 2]
            event = {"kind": "purchase", "visitor_id": who, "item_id": shown[0]}
            began = time.perf_counter()
            status, said = await line.send("POST", "/v1/events", event)
            if status >= 400:
                raise SystemExit(f"POST /v1/events answered {status}: {said!r}")
            before, shown = shown[0], await _items(other, ask)
            took.append(time.perf_counter() - began)
            missed += before in shown

    await asyncio.gather(*(shop(n, lines) for n, lines in enumerate(shoppers)))
    return {"pairs": len(took), "missed": missed, **latency(took)}


async def _items(line: Line, path: str) -> list[str]:
    status, body = await line.send("GET", path)
    if status != 200:
        raise SystemExit(f"GET {path} answered {status}: {body!r}")
    return [item["item_id"] for item in json.loads(body)["items"]]


def latency(took: list[float]) -> dict[str, float]:
    """Return quantiles of times in seconds, as milliseconds."""
    p50, p99 = np.quantile(took, [0.5, 0.99]) * 1e3
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.loads(sys.argv[1])))), flush=True)

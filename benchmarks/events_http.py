"""Events posted to a server, each answered after it is on the disk; the rest of `events`.

The client is a process of its own (``python -m benchmarks.events_http JSON``) over bare sockets,
and shares the cores with the server; what it sends is written before the clock starts, for a shop
makes its events elsewhere. What it was told is stored is counted in the store afterwards.
"""

import asyncio
import gc
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.processes import said, served, serving, spent, until_calm
from benchmarks.serving_load import Line, latency
from endcap.events.opening import open_store
from endcap.schema.settings import StoreSettings

# name: (events in a request, connections)
WAYS = {
    "POST of one, 64 connections": (1, 64),
    "POST of 100, 16 connections": (100, 16),
}

READY_PER_S = (80_000, 8_000)
"""Events that are ready beforehand for each second: in batches, and one by one."""


def through_server(
    new_place: Callable[[], StoreSettings], workers: int, seconds: float
) -> dict[str, dict[str, float]]:
    """Return figures of each way of posting to a server of its own, by name."""
    return {
        f"{name}, {workers} worker{'s' * (workers > 1)}": _measured(
            new_place(), workers, {"size": size, "clients": clients, "seconds": seconds}
        )
        for name, (size, clients) in WAYS.items()
    }


def _measured(place: StoreSettings, workers: int, work: dict[str, Any]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as models:
        folder = Path(models) if place.url else place.folder
        command = [sys.executable, "-m", "endcap", "serve", "--port", "0"]
        command += ["--folder", str(folder), "--workers", str(workers)]
        env = {"ENDCAP_STORE__URL": place.url} if place.url else {}
        with served(command, env) as (server, url):
            until_calm(serving(server))
            before = spent(serving(server))
            found = said("benchmarks.events_http", {**work, "url": url})
            seconds = spent(serving(server)) - before
    acknowledged = found.pop("acknowledged")
    with closing(open_store(place)) as store:
        assert store.log.count() == acknowledged
    return {**found, "server_events_per_cpu_s": acknowledged / seconds}


async def run(work: dict[str, Any]) -> dict[str, Any]:
    """Post from each connection, one request after the other, and return the figures."""
    lines = [await Line.open(work["url"]) for _ in range(work["clients"])]
    took: list[float] = []
    for number, line in enumerate(lines):  # nobody pays for what is done once
        await _posted(line, 1, next(bodies(1, f"first-{number}")))
    size, ready = work["size"], READY_PER_S[work["size"] == 1] * work["seconds"]
    shares = [
        list(islice(bodies(size, f"{number}"), int(ready / size / len(lines)) + 1))
        for number in range(len(lines))
    ]
    gc.freeze()
    began = time.perf_counter()
    end = began + work["seconds"]

    async def client(number: int, line: Line) -> None:
        coming = chain(shares[number], bodies(size, f"more-{number}"))
        while (sent := time.perf_counter()) < end:
            await _posted(line, size, next(coming))
            took.append(time.perf_counter() - sent)

    await asyncio.gather(*(client(number, line) for number, line in enumerate(lines)))
    events = len(took) * size
    rate = events / (time.perf_counter() - began)
    slowest = {"max_ms": round(max(took) * 1e3, 1)}
    return {"events_per_s": rate, **latency(took), **slowest, "acknowledged": events + len(lines)}


async def _posted(line: Line, size: int, body: bytes) -> None:
    path = "/v1/events" if size == 1 else "/v1/events/batch"
    status, answer = await line.send("POST", path, body)
    if status != 202 or json.loads(answer)["stored"] != size:
        raise SystemExit(f"POST {path} answered {status}: {answer!r}")


def bodies(size: int, name: str) -> Iterator[bytes]:
    """Yield requests as a shop's server sends them, each event with an id of its own."""
    numbers = count()
    mine = sum(map(ord, name)) * 7919
    while True:
        batch = [
            {
                "event_id": secrets.token_hex(16),
                "kind": "view",
                "user_id": f"u{(mine + n) % 4999}",
                "session_id": f"s{(mine + n) % 8999}",
                "item_id": f"i{(mine + n) * 31 % 19_997}",
                "price": "9.90",
                "currency": "GBP",
            }
            for n in islice(numbers, size)
        ]
        yield json.dumps(batch[0] if size == 1 else {"events": batch}).encode()


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.loads(sys.argv[1])))), flush=True)

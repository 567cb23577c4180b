"""Slates over HTTP: latency in an open loop, ceiling, read-your-writes, start and memory.

The shop is made up: items and shoppers by power laws, served by ``endcap serve`` in processes of
their own. The load comes from another process on the same machine, so server and client share its
cores. In the open loop requests leave at fixed times, and each is timed from when it should have
left: a server that falls behind cannot hide it. Each request has a context of its own.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pyarrow as pa
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from benchmarks import report
from endcap.evaluate.meter import Meter
from endcap.events.opening import open_store
from endcap.prepare.run import prepare_store
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train
from endcap.schema.settings import Settings
from endcap.schema.tables import EVENTS, ITEMS, TIME

K, FILTER = 20, "price < 90 and stock > 0"
RATE, SHOPPERS = 200, 50
DAY = 86_400_000_000
Ask = Callable[[httpx.AsyncClient, int], Awaitable[httpx.Response]]


def main(argv: list[str]) -> dict[str, Any]:
    """Run the benchmark."""
    parser = report.parser(__doc__)
    parser.add_argument("--items", type=int, default=0, help="of the catalogue; 100,000")
    parser.add_argument("--folder", type=Path, help="where the shop is made, or found and used")
    parser.add_argument("--workers", default="1,2", help="numbers of workers to try")
    parser.add_argument("--load", help=argparse.SUPPRESS)  # the second process: what to send
    flags = parser.parse_args(argv)
    if flags.load:
        return asyncio.run(_loads(json.loads(flags.load)))
    items = flags.items or (5_000 if flags.quick else 100_000)
    seconds, pairs = (2.0, 500) if flags.quick else (10.0, 10_000)
    with Meter() as meter, tempfile.TemporaryDirectory() as place:
        folder = flags.folder or Path(place) / "shop"
        make_shop(folder, items, flags.seed)
        figures = {"hello": _hello(seconds)}
        for workers in map(int, flags.workers.split(",")):
            figures[f"{workers} workers"] = _measure(folder, workers, items, seconds, pairs)
            print(json.dumps(figures[f"{workers} workers"]), flush=True)
    return report.outcome(
        meter,
        protocol=f"{items:,} items, k={K}, filter {FILTER!r}, open loop {RATE}/s, {seconds:g} s, "
        f"ceiling and pairs with {SHOPPERS} connections, client in a second process",
        figures=figures,
        seed=flags.seed,
        fingerprint=f"power law, {items} items, seed {flags.seed}",
    )


def make_shop(folder: Path, items: int, seed: int) -> None:
    """Store a made-up catalogue and its events, and fit the recipe ``simple``; once."""
    if (folder / "models" / "current").exists():
        return
    settings = Settings.parse({"store": {"folder": folder, "queue_events": 10_000_000}})
    store = open_store(settings.store)
    try:
        store.catalogue.upsert_items(_catalogue(items, seed))
        for part in _events(items, seed).to_batches(max_chunksize=50_000):
            store.log.append(pa.Table.from_batches([part]))
        train(prepare_store(store, settings).dataset, load_recipe("simple"), folder, seed=seed)
    finally:
        store.close()


def _catalogue(items: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    known = {
        "item_id": pa.array([f"i{n}" for n in range(items)]),
        "title": pa.array([f"Item {n} of range {n % 97}" for n in range(items)]),
        "brand": pa.array([f"brand {n % 501}" for n in range(items)]),
        "price": pa.array(np.round(rng.uniform(1, 100, items), 2)).cast(ITEMS.field("price").type),
        "stock": pa.array(rng.integers(0, 50, items)).cast(ITEMS.field("stock").type),
    }
    return _whole(known, items, ITEMS)


def _events(items: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed + 1)
    count = items * 4
    what = np.minimum((items * rng.power(0.45, count)).astype(int), items - 1)
    what[:items] = np.arange(items)  # each item was met at least once
    who = (count // 20 * rng.power(0.6, count)).astype(int)
    now = int(time.time() * 1e6)
    times = pa.array(np.sort(now - rng.integers(0, 60 * DAY, count)), pa.int64()).cast(TIME)
    kinds = np.array(["view", "purchase"])[(rng.random(count) < 0.2).astype(int)]
    known = {
        "event_id": pa.array([f"{seed}-{n}" for n in range(count)]),
        "kind": pa.array(kinds),
        "time": times,
        "received": times,
        "user_id": pa.array([f"u{n}" for n in who]),
        "item_id": pa.array([f"i{n}" for n in what]),
    }
    return _whole(known, count, EVENTS)


def _whole(known: dict[str, Any], rows: int, schema: pa.Schema) -> pa.Table:
    columns = [known.get(field.name, pa.nulls(rows, field.type)) for field in schema]
    return pa.table(columns, schema=schema)


def _measure(folder: Path, workers: int, items: int, seconds: float, pairs: int) -> dict[str, Any]:
    command = ["serve", "--folder", str(folder), "--port", "0", "--workers", str(workers)]
    began = time.perf_counter()
    with _served([sys.executable, "-m", "endcap", *command]) as (server, url):
        _until_ready(url, workers)
        ready = time.perf_counter() - began
        work = {"url": url, "items": items, "seconds": seconds}
        found = {
            "ready_s": round(ready, 2),
            "open_loop": _load({**work, "way": "open"}),
            "ceiling": _load({**work, "way": "closed"}),
            "read_your_writes": _load({**work, "way": "pairs", "pairs": pairs}),
        }
        found["rss_mb"] = [round(p.memory_info().rss / 1e6) for p in _serving(server)]
    return found


def _hello(seconds: float) -> dict[str, Any]:
    """Measure the same stack with nothing behind it."""
    command = [sys.executable, "-c", "from benchmarks.serving import hello; hello()"]
    with _served(command) as (_, url):
        work = {"url": url, "items": 1, "seconds": seconds, "way": "closed"}
        return _load(work)


def hello() -> None:
    """Serve an empty answer to everything."""

    async def answer(request: Any) -> Response:
        return Response(b"{}", media_type="application/json")

    with socket.create_server(("127.0.0.1", 0)) as bound:
        print(f"http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
        app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
        config = uvicorn.Config(app, access_log=False, log_level="warning")
        uvicorn.Server(config).run(sockets=[bound])


@contextmanager
def _served(command: list[str]) -> Iterator[tuple[psutil.Process, str]]:
    env = {**os.environ, "ENDCAP_SERVE__TIMEOUT_MS": "30000"}  # no answer from the catalogue
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as server:
        try:
            assert server.stdout is not None
            yield psutil.Process(server.pid), server.stdout.readline().strip()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


def _until_ready(url: str, workers: int) -> None:
    """Return once each of the sockets has answered (a new connection picks one of them)."""
    for _ in range(8 * workers):
        while httpx.get(f"{url}/readyz", timeout=120).status_code != 200:
            time.sleep(0.05)


def _serving(server: psutil.Process) -> list[psutil.Process]:
    workers = [p for p in server.children() if "resource_tracker" not in " ".join(p.cmdline())]
    return workers or [server]


def _load(work: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks", "serving", "--load", json.dumps(work)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    return found


async def _loads(work: dict[str, Any]) -> dict[str, Any]:
    limits = httpx.Limits(max_connections=SHOPPERS, max_keepalive_connections=SHOPPERS)
    async with httpx.AsyncClient(base_url=work["url"], limits=limits, timeout=120) as client:
        if work["way"] == "pairs":
            return await _pairs(client, work)
        ask = _asker(work["items"])
        await asyncio.gather(*(ask(client, -n) for n in range(SHOPPERS)))
        return await (_open if work["way"] == "open" else _closed)(client, ask, work["seconds"])


def _asker(items: int) -> Ask:
    """Return what asks for the slate of a shopper whom no cache knows: a new one each time."""
    rng = np.random.default_rng(2)
    seen = rng.integers(0, items, (4096, 5))

    async def ask(client: httpx.AsyncClient, number: int) -> httpx.Response:
        body = {
            "user_id": f"u{number % (items // 5 + 1)}",
            "context_items": [f"i{n}" for n in seen[number % len(seen)]],
            "k": K,
            "filter": FILTER,
        }
        return await client.post("/v1/recommendations", json=body)

    return ask


async def _open(client: httpx.AsyncClient, ask: Ask, seconds: float) -> dict[str, Any]:
    took: list[float] = []
    bad = 0
    start = time.perf_counter() + 0.1

    async def one(number: int) -> None:
        nonlocal bad
        due = start + number / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        bad += (await ask(client, number)).status_code != 200
        took.append(time.perf_counter() - due)

    await asyncio.gather(*(one(n) for n in range(int(RATE * seconds))))
    return {"rate": RATE, "not_200": bad, **_latency(took)}


async def _closed(client: httpx.AsyncClient, ask: Ask, seconds: float) -> dict[str, Any]:
    took: list[float] = []
    bad = 0
    end = time.perf_counter() + seconds

    async def one(number: int) -> None:
        nonlocal bad
        while (began := time.perf_counter()) < end:
            bad += (await ask(client, number)).status_code != 200
            took.append(time.perf_counter() - began)
            number += SHOPPERS

    await asyncio.gather(*(one(n) for n in range(SHOPPERS)))
    return {"per_s": round(len(took) / seconds, 1), "not_200": bad, **_latency(took)}


async def _pairs(client: httpx.AsyncClient, work: dict[str, Any]) -> dict[str, Any]:
    """Let shoppers buy what they are shown; whoever is shown it again has not been heard."""
    missed = 0
    took: list[float] = []

    async def shop(shopper: int) -> None:
        nonlocal missed
        who = {"visitor_id": f"pairs-{shopper}-{time.time_ns()}"}
        answer = await client.get("/v1/recommendations", params={**who, "k": 5})
        for _ in range(work["pairs"] // SHOPPERS):
            bought = answer.json()["items"][0]["item_id"]
            event = {"kind": "purchase", "item_id": bought, "price": 1, "currency": "GBP", **who}
            began = time.perf_counter()
            (await client.post("/v1/events", json=event)).raise_for_status()
            answer = await client.get("/v1/recommendations", params={**who, "k": 5})
            took.append(time.perf_counter() - began)
            missed += bought in {item["item_id"] for item in answer.json()["items"]}

    await asyncio.gather(*(shop(n) for n in range(SHOPPERS)))
    return {"pairs": len(took), "missed": missed, **_latency(took)}


def _latency(took: list[float]) -> dict[str, float]:
    quantiles = np.quantile(took, [0.5, 0.99]) * 1e3
    return {"p50_ms": round(float(quantiles[0]), 2), "p99_ms": round(float(quantiles[1]), 2)}

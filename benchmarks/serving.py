"""Slates over HTTP: latency in an open loop, ceiling, read-your-writes, start and memory.

The shop is made up: items and shoppers by power laws, served by ``endcap serve`` in processes of
their own. The load comes from another process on the same machine, so server and client share its
cores. In the open loop requests leave at fixed times, and each is timed from when it should have
left: a server that falls behind cannot hide it. Each request has a context of its own.

    python -m benchmarks serving
    python -m benchmarks serving --folder /tmp/shop --part slates     one part alone
    python -m benchmarks serving --part pairs,probe --replicas 2      also over PostgreSQL and Redis
    python -m benchmarks serving --items 1000000 --each 1 --recipe benchmarks/factors.toml
"""

import itertools
import json
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from benchmarks import report
from benchmarks.processes import said, served, serving
from benchmarks.serving_load import FILTER, SHOPPERS, K
from benchmarks.serving_replicas import PATIENT, replicas
from benchmarks.serving_shop import make_shop
from endcap.client import Client
from endcap.client.probing import Probe, summary
from endcap.evaluate.meter import Meter
from endcap.schema.errors import ConfigError, nearest

RATE = 200
Figures = dict[str, Any]


def main(argv: list[str]) -> dict[str, Any]:
    """Run the benchmark."""
    parser = report.parser(__doc__)
    parser.add_argument("--items", type=int, default=0, help="of the catalogue; 100,000")
    parser.add_argument("--recipe", default="shop", help="what is fitted and served")
    parser.add_argument("--folder", type=Path, help="where the shop is made, or found and used")
    parser.add_argument("--each", type=int, default=4, help="events for each item")
    parser.add_argument("--users", type=int, default=0, help="who all took something")
    parser.add_argument("--workers", default="1,2", help="numbers of workers to try")
    parser.add_argument(
        "--replicas", type=int, default=0, help="so many servers over PostgreSQL and Redis, too"
    )
    parser.add_argument("--part", default="", help=f"only some of {', '.join(PARTS)}: a,b")
    parser.add_argument("--rate", type=float, default=RATE, help="a second, in the open loop")
    parser.add_argument("--seconds", type=float, default=0, help="of each load; 10")
    flags = parser.parse_args(argv)
    parts = _parts(flags.part)
    items = flags.items or (5_000 if flags.quick else 100_000)
    seconds, pairs = flags.seconds or (2.0 if flags.quick else 10.0), 500 if flags.quick else 10_000
    work: Figures = {"items": items, "seconds": seconds, "pairs": pairs, "rate": flags.rate}
    work["probes"] = 3 if flags.quick else 100
    work["count"] = 200 if flags.quick else 3_000
    with Meter() as meter, tempfile.TemporaryDirectory() as place:
        folder = flags.folder or Path(place) / "shop"
        make_shop(folder, items, flags.seed, flags.recipe, flags.each, flags.users)
        figures = {}
        if "hello" in parts:
            figures["hello"] = _hello(work)
            print(json.dumps({"hello": figures["hello"]}), flush=True)
        if "inside" in parts:
            figures["inside"] = _inside({**work, "folder": str(folder)})
            print(json.dumps({"inside": figures["inside"]}), flush=True)
        for workers in map(int, report.names(flags.workers)):
            name = f"{workers} worker{'s' * (workers > 1)}"
            figures[name] = _measure(folder, workers, work, parts)
            print(json.dumps({name: figures[name]}), flush=True)
        if flags.replicas:
            name = f"{flags.replicas} replicas"
            figures[name] = _measure_replicas(folder, flags.replicas, work, parts)
            print(json.dumps({name: figures[name]}), flush=True)
    return report.outcome(
        meter,
        protocol=f"{items:,} items, {_users(flags.users)}recipe {flags.recipe}, k={K}, "
        f"filter {FILTER!r}, open loop {flags.rate:g}/s, {seconds:g} s, ceiling and pairs with "
        f"{SHOPPERS} connections, client in a second process",
        figures=figures,
        seed=flags.seed,
        fingerprint=f"power law, {items} items, {flags.each} events each, seed {flags.seed}",
    )


def _users(count: int) -> str:
    return f"{count:,} users, " if count else ""


def _parts(given: str) -> list[str]:
    chosen = report.names(given) or list(PARTS)
    for part in chosen:
        if part not in PARTS:
            raise ConfigError(f"There is no part {part!r}.", hint=nearest(part, PARTS))
    return chosen


def _measure(folder: Path, workers: int, work: Figures, parts: list[str]) -> Figures:
    command = ["serve", "--folder", str(folder), "--port", "0", "--workers", str(workers)]
    began = time.perf_counter()
    with served([sys.executable, "-m", "endcap", *command], PATIENT) as (server, url):
        _until_ready(url, workers)
        found: Figures = {"ready_s": round(time.perf_counter() - began, 2)}
        for part in parts:
            found |= PARTS[part]({**work, "urls": [url]})
        found["rss_mb"] = [round(p.memory_info().rss / 1e6) for p in serving(server)]
        found["own_mb"] = [round(p.memory_full_info().uss / 1e6) for p in serving(server)]
    return found


def _measure_replicas(folder: Path, count: int, work: Figures, parts: list[str]) -> Figures:
    found: Figures = {}
    with replicas(folder, count) as urls:
        for url in urls:
            _until_ready(url, 1)
        for part in parts:
            found |= PARTS[part]({**work, "urls": urls})
    return found


def _slates(work: Figures) -> Figures:
    return {
        "open_loop": _load({**work, "way": "open"}),
        "ceiling": _load({**work, "way": "closed"}),
    }


def _pairs(work: Figures) -> Figures:
    return {"read_your_writes": _load({**work, "way": "pairs"})}


def _probe(work: Figures) -> Figures:
    """Measure from outside, each answer at the next of the replicas, over a new connection."""
    turn = itertools.cycle(work["urls"])
    probe = Probe(lambda: Client(next(turn), attempts=1), others=True)
    return {"event_to_effect": summary(probe.run() for _ in range(work["probes"]))}


def _start(work: Figures) -> Figures:
    """Measure nothing more: how long the start took is measured anyway."""
    return {}


PARTS: dict[str, Callable[[Figures], Figures]] = {
    "hello": _start,
    "inside": _start,
    "start": _start,
    "slates": _slates,
    "pairs": _pairs,
    "probe": _probe,
}
"""What is measured of a server.

``hello`` measures the same stack with nothing behind it, ``inside`` processor time without sockets.
"""


def _inside(work: Figures) -> Figures:
    return said("benchmarks.serving_inside", work)


def _hello(work: Figures) -> Figures:
    command = [sys.executable, "-c", "from benchmarks.serving import hello; hello()"]
    with served(command, PATIENT) as (_, url):
        return _slates({**work, "urls": [url]})


def hello() -> None:
    """Serve an empty answer to everything."""

    async def answer(request: Any) -> Response:
        return Response(b"{}", media_type="application/json")

    with socket.create_server(("127.0.0.1", 0)) as bound:
        print(f"http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
        app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
        config = uvicorn.Config(app, access_log=False, log_level="warning")
        uvicorn.Server(config).run(sockets=[bound])


def _until_ready(url: str, workers: int) -> None:
    """Return once each of the sockets has answered (a new connection picks one of them)."""
    for _ in range(8 * workers):
        while httpx.get(f"{url}/readyz", timeout=120).status_code != 200:
            time.sleep(0.05)


def _load(work: Figures) -> Figures:
    return said("benchmarks.serving_load", work)

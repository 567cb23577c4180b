"""Three times as many events as a server can store, for minutes: what it stores, says and holds.

First what it can store is measured: 16 connections post batches of 100, each as soon as its last
was answered. Then three times as many leave at fixed times, over up to 1,500 connections. Who is
refused (429) sends the same later, in the place of a new batch; every answer is timed from when its
post should have left. What was acknowledged is counted in the store afterwards.

    python -m benchmarks flood --seconds 600
    python -m benchmarks flood --quick
"""

import asyncio
import json
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import uvloop

from benchmarks import report
from benchmarks.processes import said, served, serving, until_calm
from benchmarks.serving_load import Line, latency
from endcap.evaluate.meter import Meter
from endcap.events.opening import open_store
from endcap.schema.settings import StoreSettings

SECONDS, QUICK_SECONDS = 600.0, 3.0
SIZE, CONNECTIONS, FEW = 100, 1_500, 16
TIMES = 3
STORED, REFUSED = 202, 429
EVENT = '{"event_id":"%s","kind":"view","user_id":"u%d","item_id":"i%d"}'


def main(argv: list[str]) -> dict[str, Any]:
    """Run the benchmark."""
    args = report.parser(__doc__)
    args.add_argument("--seconds", type=float, default=0, help="600; 3 with --quick")
    flags = args.parse_args(argv)
    seconds = flags.seconds or (QUICK_SECONDS if flags.quick else SECONDS)
    with Meter() as meter, tempfile.TemporaryDirectory() as place:
        figures = _flooded(Path(place), seconds)
    report.say(json.dumps(figures))
    return report.outcome(
        meter,
        protocol=f"1 worker, SQLite, batches of {SIZE}: {FEW} connections as fast as they can, "
        f"then {TIMES} times as many, open loop for {seconds:g} s, up to {CONNECTIONS:,} "
        "connections, the client beside it",
        figures=figures,
        seed=flags.seed,
        fingerprint="made-up views",
    )


def _flooded(place: Path, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "endcap", "serve", "--port", "0", "--folder", str(place)]
    held: list[float] = []
    with served(command) as (server, url):
        until_calm(serving(server))
        (worker,) = serving(server)
        before = worker.memory_info().rss
        end = threading.Event()
        watch = threading.Thread(target=_watch, args=(worker, held, end))
        watch.start()
        try:
            found = said("benchmarks.flood", {"url": url, "seconds": seconds})
        finally:
            end.set()
            watch.join()
    with closing(open_store(StoreSettings(folder=place))) as store:
        lost = found["stored"] - store.log.count()
    first, last = (max(part, default=0.0) for part in (held[: len(held) // 2], held))
    memory = {"rss_before_mb": before / 1e6, "rss_most_mb": last, "rss_most_first_half_mb": first}
    return {**found, **{key: round(mb) for key, mb in memory.items()}, "lost": lost}


def _watch(process: psutil.Process, held: list[float], end: threading.Event) -> None:
    while not end.wait(0.2):
        held.append(process.memory_info().rss / 1e6)


async def run(work: dict[str, Any]) -> dict[str, Any]:
    """Find out what is stored in calm, and post three times as much for some seconds."""
    customers = Customers(work["url"])
    calm = await customers.calm(max(QUICK_SECONDS, work["seconds"] / 60))
    flood = await customers.flood(calm * TIMES, work["seconds"])
    per_s = {"calm": calm * SIZE, "offered": calm * TIMES * SIZE, "stored": flood * SIZE}
    return {
        "stored": customers.answers[STORED] * SIZE,
        **{f"{name}_per_s": round(rate) for name, rate in per_s.items()},
        "share_of_calm": round(flood / calm, 3),
        "refused": customers.answers[REFUSED] * SIZE,
        "unsent": customers.unsent * SIZE,
        "other": customers.answers.total() - customers.answers[STORED] - customers.answers[REFUSED],
        **{
            f"{name}_{quantile}": ms
            for name, status in (("refused", REFUSED), ("stored", STORED))
            for quantile, ms in latency(customers.took.get(status) or [0.0]).items()
        },
    }


class Customers:
    """Post batches over many connections and keep what was answered, and how soon."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.answers: Counter[int] = Counter()
        self.took: dict[int, list[float]] = {}
        self.unsent = 0
        self._made = 0
        self._again: deque[bytes] = deque()
        self._free: deque[Line] = deque()
        self._lines = 0

    async def calm(self, seconds: float) -> float:
        """Return batches stored a second where a few post, each after its last answer."""
        end = time.perf_counter() + seconds

        async def one(line: Line) -> int:
            count = 0
            while time.perf_counter() < end:
                count += await self._post(line, self._batch()) == STORED
            self._free.append(line)
            return count

        self._lines = FEW
        lines = [await Line.open(self._url) for _ in range(FEW)]
        return sum(await asyncio.gather(*map(one, lines))) / seconds

    async def flood(self, rate: float, seconds: float) -> float:
        """Post `rate` batches a second; return how many were stored of each second's."""
        before, start = self.answers[STORED], time.perf_counter() + 0.1
        self.took = {}
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                due = start + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                if self._free or self._lines < CONNECTIONS:
                    group.create_task(self._one(due))
                else:
                    self.unsent += 1
        return (self.answers[STORED] - before) / (time.perf_counter() - start)

    async def _one(self, due: float) -> None:
        if self._free:
            line = self._free.popleft()
        else:
            self._lines += 1
            line = await Line.open(self._url)
        body = self._again.popleft() if self._again else self._batch()
        status = await self._post(line, body)
        self.took.setdefault(status, []).append(time.perf_counter() - due)
        if status != STORED:
            self._again.append(body)
        self._free.append(line)

    async def _post(self, line: Line, body: bytes) -> int:
        status, _ = await line.send("POST", "/v1/events/batch", body)
        self.answers[status] += 1
        return status

    def _batch(self) -> bytes:
        self._made += 1
        turn = self._made
        rows = [
            EVENT % (f"{turn:010x}{at:02x}", (turn * 7 + at) % 4999, (turn + at) % 19_997)
            for at in range(SIZE)
        ]
        return f'{{"events":[{",".join(rows)}]}}'.encode()


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.loads(sys.argv[1])))), flush=True)

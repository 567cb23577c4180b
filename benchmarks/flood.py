"""Too much for minutes: three times as many events at once as may wait, and what the server holds.

1,500 connections post batches of 100 at once, each as soon as its last was answered: 150,000 events
where 50,000 may wait for the disk. Who is refused (429) sends the same again after two seconds.
What was acknowledged is counted in the store afterwards.

    python -m benchmarks flood --seconds 600
    python -m benchmarks flood --quick
"""

import asyncio
import json
import sys
import tempfile
import threading
import time
from collections import Counter
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
SIZE, CONNECTIONS = 100, 1_500
AGAIN_S = 2.0
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
        protocol=f"1 worker, SQLite, {CONNECTIONS:,} connections, batches of {SIZE} for "
        f"{seconds:g} s, a refused one again after {AGAIN_S:g} s, the client beside it",
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
    """Post from all connections for some seconds; return what was answered."""
    answers: Counter[int] = Counter()
    took: dict[int, list[float]] = {STORED: [], REFUSED: []}
    end = time.monotonic() + work["seconds"]

    async def customer(number: int) -> None:
        line, turn, body = await Line.open(work["url"]), 0, _batch(number, 0)
        while time.monotonic() < end:
            began = time.perf_counter()
            status, _ = await line.send("POST", "/v1/events/batch", body)
            answers[status] += 1
            took.setdefault(status, []).append(time.perf_counter() - began)
            if status == STORED:
                turn, body = turn + 1, _batch(number, turn + 1)
            else:
                await asyncio.sleep(AGAIN_S)

    await asyncio.gather(*(customer(number) for number in range(CONNECTIONS)))
    return {
        "stored": answers[STORED] * SIZE,
        "stored_per_s": round(answers[STORED] * SIZE / work["seconds"]),
        "refused": answers[REFUSED] * SIZE,
        "other": answers.total() - answers[STORED] - answers[REFUSED],
        **{f"refused_{name}": ms for name, ms in latency(took[REFUSED] or [0.0]).items()},
    }


def _batch(number: int, turn: int) -> bytes:
    rows = [
        EVENT % (f"{number:04x}{turn:08x}{at:02x}", (number + at) % 4999, (turn + at) % 19_997)
        for at in range(SIZE)
    ]
    return f'{{"events":[{",".join(rows)}]}}'.encode()


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.loads(sys.argv[1])))), flush=True)

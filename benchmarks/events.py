"""Durable events per second and latency of a store: single, in batches, in bulk.

Every figure counts events whose COMMIT was fsynced. A folder's interactions are the events; their
ids are hashes, as those of an import are, so that the primary key is met in random order.
"""

import hashlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import report
from benchmarks.data import find
from benchmarks.events_http import through_server
from endcap.evaluate.meter import Meter
from endcap.events.opening import open_store
from endcap.events.store import Store
from endcap.schema.settings import StoreSettings
from endcap.schema.tables import EVENTS, TIME
from endcap.testing.servers import PostgresServer

KINDS = {"buy": "purchase", "collect": "wish"}
BULK = 50_000
SQLITE = "SQLite WAL, synchronous=FULL"
SECONDS, QUICK_SECONDS = 5.0, 1.0
Places = Callable[[], StoreSettings]
Clock = Callable[[], float]
# name: (rows in a batch, clients at once)
WAYS = {
    "one by one, 1 client": (1, 1),
    "one by one, 64 clients": (1, 64),
    "batches of 100, 16 clients": (100, 16),
    "batches of 1000, 8 clients": (1000, 8),
}


def main(argv: list[str]) -> dict[str, Any]:
    """Run the benchmark."""
    args = report.parser(__doc__)
    args.add_argument(
        "--store",
        default="sqlite",
        help="sqlite, a folder to make it in, or postgres: a server is started for the run",
    )
    args.add_argument(
        "--http", default="1", help="also posted to servers with so many workers: 1,2; empty: none"
    )
    flags = args.parse_args(argv)
    folder = find(flags.data, "online-retail")
    limit = 100_000 if flags.quick else 1_000_000
    events = as_events(pq.read_table(folder / "interactions.parquet").slice(0, limit))
    seconds = QUICK_SECONDS if flags.quick else SECONDS
    with new_places(flags.store) as (new_place, cpu), Meter() as meter:
        models = {
            name: through_clients(events, size, clients, seconds, new_place, cpu)
            for name, (size, clients) in WAYS.items()
        }
        models["bulk, 50000 at a time"] = in_bulk(events, new_place, cpu)
        for workers in map(int, report.names(flags.http)):
            models |= through_server(new_place, workers, seconds)
    report.show(f"Durable events, {folder.name} ({events.num_rows:,} interactions)", models)
    sort = "PostgreSQL, synchronous_commit=on" if flags.store == "postgres" else SQLITE
    bulk, hundred = models["bulk, 50000 at a time"], models["batches of 100, 16 clients"]
    single = models["one by one, 64 clients"]
    return report.outcome(
        meter,
        protocol=f"{sort}, one committing thread; the time of a client from submit to durable; "
        "table building not counted in bulk",
        figures={
            "events_per_s": hundred["events_per_s"],
            "p99_ms": hundred["p99_ms"],
            "single_events_per_s": single["events_per_s"],
            "single_p99_ms": single["p99_ms"],
            "bulk_events_per_s": bulk["events_per_s"],
            "bulk_events_per_cpu_s": bulk["events_per_cpu_s"],
            "scan_events_per_s": bulk["scan_events_per_s"],
            "actor_scan_p99_ms": bulk["actor_scan_p99_ms"],
        },
        models=models,
        seed=flags.seed,
        fingerprint=fingerprint(events),
    )


def as_events(table: pa.Table) -> pa.Table:
    """Return interactions of the common form as events with hashed ids."""
    count = table.num_rows
    order = next((n for n in ("timestamp", "pos", "basket") if n in table.column_names), None)
    seconds = np.arange(count) if order is None else np.asarray(table[order].to_numpy(), np.int64)
    times = pa.array(seconds * 1_000_000, pa.int64()).cast(TIME)
    ids = [hashlib.blake2b(b"%d" % n, digest_size=16).hexdigest() for n in range(count)]
    kinds = table["event"].to_pylist() if "event" in table.column_names else ["purchase"] * count
    columns = {
        "event_id": pa.array(ids),
        "kind": pa.array([KINDS.get(kind, kind) for kind in kinds], pa.string()),
        "time": times,
        "received": times,
        "user_id": pc.cast(table["user_id"], pa.string()),
        "item_id": pc.cast(table["item_id"], pa.string()),
    }
    filled = [columns.get(field.name, pa.nulls(count, field.type)) for field in EVENTS]
    return pa.table(filled, schema=EVENTS).combine_chunks()


def fingerprint(events: pa.Table) -> str:
    """Return what names the data: who did what with which item, when."""
    digest = hashlib.sha256()
    for name in ("kind", "time", "user_id", "item_id"):
        digest.update("\x00".join(map(str, events[name].to_pylist())).encode())
    return digest.hexdigest()[:16]


def through_clients(
    events: pa.Table, size: int, clients: int, seconds: float, new_place: Places, cpu: Clock
) -> dict[str, float]:
    """Let clients send one batch after the other, each waiting until it is durable."""
    starts = iter(range(0, events.num_rows - size + 1, size))
    lock = threading.Lock()

    def client(store: Store) -> list[float]:
        waits = []
        stop = time.monotonic() + seconds
        while not waits or time.monotonic() < stop:
            with lock:
                start = next(starts, None)
            if start is None:
                break
            sent = time.perf_counter()
            store.log.append(events.slice(start, size))
            waits.append(time.perf_counter() - sent)
        return waits

    with new_store(new_place()) as store, ThreadPoolExecutor(clients) as pool:
        began, used = time.perf_counter(), cpu()
        waits = [w for done in pool.map(client, [store] * clients) for w in done]
        spent = rates(len(waits) * size, began, cpu() - used)
        assert store.log.count() == len(waits) * size
    return {**spent, **latency(waits)}


def in_bulk(events: pa.Table, new_place: Places, cpu: Clock) -> dict[str, float]:
    """Store everything in large batches, as an import does; then read it back."""
    with new_store(new_place()) as store:
        waits, began, used = [], time.perf_counter(), cpu()
        for start in range(0, events.num_rows, BULK):
            sent = time.perf_counter()
            store.log.append(events.slice(start, BULK))
            waits.append(time.perf_counter() - sent)
        spent = rates(events.num_rows, began, cpu() - used)
        began = time.perf_counter()
        assert sum(batch.num_rows for batch in store.log.scan()) == events.num_rows
        scanned = time.perf_counter() - began
        actors = pc.unique(events["user_id"]).to_pylist()[:500]
        reads = [w for actor in actors for w in timed_scan(store, actor)]
    return {
        **spent,
        **latency(waits),
        "scan_events_per_s": events.num_rows / scanned,
        "actor_scan_p99_ms": latency(reads)["p99_ms"],
    }


def timed_scan(store: Store, actor: str) -> Iterator[float]:
    """Yield the seconds that reading one shopper's history takes."""
    began = time.perf_counter()
    for _ in store.log.scan(actor=actor):
        pass
    yield time.perf_counter() - began


def rates(rows: int, began: float, used: float) -> dict[str, float]:
    """Return rows by second of the clock and of the processors; a shared machine has both."""
    return {
        "events_per_s": rows / (time.perf_counter() - began),
        "events_per_cpu_s": rows / used,
    }


def latency(waits: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile in milliseconds."""
    p50, p99 = np.percentile(np.asarray(waits) * 1000, [50, 99])
    return {"p50_ms": float(p50), "p99_ms": float(p99)}


@contextmanager
def new_places(store: str) -> Iterator[tuple[Places, Clock]]:
    """Lend what names a new, empty place at each call, and what tells the seconds of processors.

    Those of the database server count.
    """
    if store == "postgres":
        server = PostgresServer()
        try:
            yield (
                lambda: StoreSettings(url=server.new_database()),
                lambda: seconds_of(server.pid()),
            )
        finally:
            server.remove()
    else:
        parent = None if store == "sqlite" else store
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            yield (
                lambda: StoreSettings(folder=Path(tempfile.mkdtemp(dir=folder))),
                time.process_time,
            )


def seconds_of(server: int) -> float:
    """Return the seconds that this process and a server with its children have computed."""
    processes = [psutil.Process(server), *psutil.Process(server).children(recursive=True)]
    times = [process.cpu_times() for process in processes]
    return time.process_time() + sum(t.user + t.system for t in times)


@contextmanager
def new_store(place: StoreSettings) -> Iterator[Store]:
    """Lend an open store."""
    store = open_store(place)
    yield store
    store.close()

"""Are past slates the same again: 1,000 of them over HTTP, after a retrain and a rule change.

A shop is filled from a folder and served for real. Shoppers act and ask while items change their
price, run out and come back; half-way the shop is trained again, and the rules of the home page
change twice. Then every slate is asked for again (``GET /v1/slates/{request_id}``) and compared bit
by bit: with what was kept of that moment, and, as the twin that must differ, with the present.

    python -m benchmarks replay                              (Online Retail)
    python -m benchmarks replay --data DIR --slates 200
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, Final

import httpx
import numpy as np
import pyarrow as pa

from benchmarks import data, report
from endcap.evaluate.meter import Meter
from endcap.events.opening import open_store
from endcap.prepare.dataset import Dataset
from endcap.schema.settings import Settings
from endcap.schema.tables import EVENTS, ITEMS

RULES: Final = (
    {"diversity": 0.3, "reach": 0.05, "fatigue": {"half_after": 3}},
    {"quotas": [{"where": "price > 3", "min": 3}], "calibration": 0.2},
)
KINDS: Final = ("view", "cart", "purchase")
PRICES: Final = 2
"""Items that change between two slates."""


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Online Retail."""
    parser = report.parser(__doc__)
    parser.add_argument("--slates", type=int, default=0, help="how many are asked; 1,000")
    parser.add_argument("--recipe", default="shop", help="what is fitted and served")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the port")
    args = parser.parse_args(argv)
    source = data.load(data.find(args.data, "online-retail"))
    slates = args.slates or (60 if args.quick else 1_000)
    with Meter() as meter, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        fill(folder, source.data)
        _train(folder, args.recipe)
        with _served(folder, args.workers) as client:
            figures = measure(client, folder, source.data, slates, args)
        with closing(sqlite3.connect(folder / "events.db")) as database:
            (size,) = database.execute("SELECT avg(length(record)) FROM slates").fetchone()
    report.show("Past slates made again", {"": figures})
    return report.outcome(
        meter,
        protocol=(
            f"{slates:,} slates of `endcap serve --workers {args.workers}`, two events and "
            f"{PRICES} item changes between each two; retrained half-way, rules changed twice; "
            "each asked for again at the end and compared by the hash of the whole slate"
        ),
        figures={**figures, "record_bytes": round(size)},
        seed=args.seed,
        fingerprint=source.data.fingerprint,
        data=source.name,
    )


def fill(folder: Path, known: Dataset) -> None:
    """Store the events and items of a data set."""
    store = open_store(Settings.parse({"store": {"folder": folder}}).store)
    n = known.interactions.num_rows
    times = pa.array(known.column("time"), pa.int64()).cast(EVENTS.field("time").type)
    told = {
        "event_id": pa.array([f"e{row}" for row in range(n)]),
        "kind": pa.array([known.kind_names[kind] for kind in known.sequences().kinds]),
        "time": times,
        "received": times,
        "user_id": pa.array(known.users.ids(known.column("user"))),
        "item_id": pa.array(known.items.ids(known.column("item"))),
    }
    events = _whole(told, n, EVENTS)
    for start in range(0, n, 20_000):
        store.log.append(events.slice(start, 20_000))
    store.catalogue.upsert_items(_items(known))
    store.close()


def measure(
    client: httpx.Client, folder: Path, known: Dataset, slates: int, args: Any
) -> dict[str, Any]:
    """Ask slates of a served shop while it changes, then make all of them again."""
    rng = np.random.default_rng(args.seed)
    home = client.get("/v1/placements/home").json()["placement"]
    answered = []
    for n in range(slates):
        if n == slates // 2:
            _train(folder, args.recipe)
            before = answered[-1]["artefact"]
            while _ask(client, known, rng)["artefact"] == before:
                pass
        if n in {slates // 4, 3 * slates // 4}:
            rules = RULES[n // (slates // 2)]
            client.put("/v1/placements/home", json={**home, "rules": rules}).raise_for_status()
        answered.append(_ask(client, known, rng))
        _happen(client, known, rng, n)
    began = perf_counter()
    again = [client.get(f"/v1/slates/{slate['request_id']}").json() for slate in answered]
    took = (perf_counter() - began) / slates
    same = [a["identical"] and a["slate"] == b for a, b in zip(again, answered, strict=True)]
    now = [client.post("/v1/recommendations", json=a["request"]).json()["items"] for a in again]
    metrics = client.get("/metrics").text
    dropped = [x for x in metrics.splitlines() if x.startswith("endcap_slates_dropped_total ")]
    for one in [one for one in again if not one["identical"]][:3]:
        report.say(json.dumps({"request": one["request"], "gone": one["gone"]}))
    return {
        "slates": slates,
        "identical": sum(same) / slates,
        "artefacts": len({slate["artefact"] for slate in answered}),
        "other_now": sum(a != b["items"] for a, b in zip(now, answered, strict=True)) / slates,
        "dropped": float(dropped[0].split()[1]) if dropped else 0.0,
        "replay_ms": took * 1e3,
    }


def _ask(client: httpx.Client, known: Dataset, rng: np.random.Generator) -> dict[str, Any]:
    user = known.users.ids([int(rng.integers(len(known.users)))])[0]
    body: dict[str, Any] = {"user_id": user, "k": int(rng.integers(5, 21)), "timeout_ms": 30_000}
    if rng.random() < 0.4:
        body["context_items"] = known.items.ids(rng.integers(0, len(known.items), 2))
        body["placement"] = ("similar", "cart")[int(rng.integers(2))]
    if rng.random() < 0.3:
        body |= {"filter": "price < 5", "boost": "1 + 0.1 * price"}
    answer = client.post("/v1/recommendations", json=body)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def _happen(client: httpx.Client, known: Dataset, rng: np.random.Generator, n: int) -> None:
    rows = [
        {
            "event_id": f"new{n}-{at}",
            "kind": KINDS[int(rng.integers(3))],
            "user_id": known.users.ids([int(rng.integers(len(known.users)))])[0],
            "item_id": known.items.ids([int(rng.integers(len(known.items)))])[0],
        }
        for at in range(2)
    ]
    client.post("/v1/events/batch", json={"events": rows}).raise_for_status()
    items = known.items.ids(rng.integers(0, len(known.items), PRICES))
    changed = [
        {
            "item_id": item,
            "price": round(float(rng.uniform(1, 9)), 2),
            "stock": int(rng.integers(4)),
        }
        for item in dict.fromkeys(items)
    ]
    client.put("/v1/items", json={"items": changed}).raise_for_status()


def _items(known: Dataset) -> pa.Table:
    told = known.item_table
    ids = known.items.array
    columns = {name: told[name] for name in told.column_names if name in ITEMS.names}
    return _whole({**columns, "item_id": ids}, len(ids), ITEMS)


def _whole(told: dict[str, Any], rows: int, schema: pa.Schema) -> pa.Table:
    columns = [told.get(field.name, pa.nulls(rows, field.type)) for field in schema]
    return pa.table(columns, schema=schema)


def _train(folder: Path, recipe: str) -> None:
    command = ["train", "--folder", str(folder), "--recipe", recipe]
    subprocess.run(
        [sys.executable, "-m", "endcap", *command], check=True, stdout=subprocess.DEVNULL
    )


@contextmanager
def _served(folder: Path, workers: int) -> Iterator[httpx.Client]:
    command = ["serve", "--folder", str(folder), "--port", "0", "--workers", str(workers)]
    with subprocess.Popen(
        [sys.executable, "-m", "endcap", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as server:
        assert server.stdout is not None
        try:
            limits = httpx.Limits(max_keepalive_connections=0)  # any worker answers any request
            url = server.stdout.readline().strip()
            with httpx.Client(base_url=url, timeout=60, limits=limits) as client:
                _until_ready(client)
                yield client
        finally:
            server.terminate()


def _until_ready(client: httpx.Client) -> None:
    end = perf_counter() + 120
    while perf_counter() < end:
        with suppress(httpx.TransportError):
            if client.get("/readyz").status_code == 200:
                return
        sleep(0.1)
    raise TimeoutError("the server is not ready after two minutes")

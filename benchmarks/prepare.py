"""How fast events become a data set: wall and CPU seconds and peak memory of `prepare`.

By default ten million synthetic power-law events, written to Parquet first (not counted), then
cleaned, merged, sessionised, weighed and numbered; ``--quick`` takes half a million.

    python -m benchmarks prepare
    python -m benchmarks prepare --data DIR          (interactions.parquet, items.parquet)
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console

from benchmarks import report
from benchmarks.data import find
from endcap.evaluate.folder import BASKETS, EVENTS, INTERACTIONS_FILE
from endcap.evaluate.meter import Meter
from endcap.prepare.run import prepare
from endcap.schema.tables import TIME

ROWS: Final = 10_000_000
QUICK_ROWS: Final = 500_000
BUDGET_S, BUDGET_MB = 30.0, 6_000.0
ITEMS, DAYS = 50_000, 365
KINDS = ("view", "click", "cart", "purchase", "refund", "impression")
SHARES = (0.62, 0.17, 0.08, 0.07, 0.01, 0.05)
START_US = 1_700_000_000 * 1_000_000
DAY_US = 86_400_000_000
BLOCK = 1_000_000


def synthetic(rows: int, seed: int) -> Iterator[pa.Table]:
    """Draw power-law events of a shop that never sleeps, a million rows at a time.

    Shoppers come in visits; 1 % of the events arrive twice, 0.5 % have no actor, 0.1 % a broken
    clock, and 0.2 % come from two machines that look at five things each second.
    """
    rng = np.random.default_rng(seed)
    users, items = max(rows // 50, 10), max(min(ITEMS, rows // 200), 10)
    weight = rng.permutation(np.arange(1, users + 1, dtype=np.float64) ** -0.6)
    user_cdf = np.cumsum(weight) / weight.sum()
    popular = rng.permutation(np.arange(1, items + 1, dtype=np.float64) ** -0.9)
    item_cdf = np.cumsum(popular) / popular.sum()
    names_u = pa.array([f"u{n:07d}" for n in range(users)])
    names_i = pa.array([f"sku-{n:06d}" for n in range(items)])
    for start in range(0, rows, BLOCK):
        yield _block(rng, min(BLOCK, rows - start), user_cdf, item_cdf, names_u, names_i)


def _block(rng, n, user_cdf, item_cdf, names_u, names_i) -> pa.Table:
    visits = np.repeat(np.arange(n // 5 + 1), 5)[:n]
    user = np.searchsorted(user_cdf, rng.random(n // 5 + 1))[visits]
    begin = (rng.random(n // 5 + 1) * DAYS * DAY_US).astype(np.int64)[visits]
    when = START_US + begin + (rng.exponential(120e6, n)).astype(np.int64)
    item = np.searchsorted(item_cdf, rng.random(n))
    kind = rng.choice(len(KINDS), n, p=SHARES)
    machine = rng.random(n) < 0.002
    user = np.where(machine, np.cumsum(machine) % 2, user)
    when = np.where(machine, begin[0] + START_US + np.cumsum(machine) * 100_000, when)
    item = np.where(machine, rng.integers(0, len(names_i), n), item)
    kind = np.where(machine, 0, kind)
    twice = rng.random(n) < 0.01
    for column in (user, when, item, kind):
        column[1:][twice[1:]] = column[:-1][twice[1:]]
    when = np.where(rng.random(n) < 0.001, rng.integers(0, DAY_US, n), when)
    bought = np.isin(kind, (3, 4))
    price = np.round(np.exp(1 + (item % 97) / 40), 2)
    return pa.table(
        {
            "kind": pa.DictionaryArray.from_arrays(pa.array(kind, pa.int8()), pa.array(KINDS)),
            "time": pa.array(when).cast(pa.timestamp("us", "UTC")),
            "user_id": names_u.take(pa.array(user, mask=rng.random(n) < 0.005)),
            "item_id": names_i.take(pa.array(item)),
            "quantity": pa.array(rng.geometric(0.7, n), pa.int64(), mask=~bought),
            "price": pa.array(price, mask=~bought),
        }
    )


def write(rows: int, seed: int, path: Path) -> None:
    """Write `rows` synthetic events as one Parquet file."""
    with pq.ParquetWriter(path, next(synthetic(10, seed)).schema) as out:
        for block in synthetic(rows, seed):
            out.write_table(block)


def as_events(folder: Path) -> pa.Table:
    """Read a research folder as the events a shop would have sent."""
    table = pq.read_table(folder / INTERACTIONS_FILE)
    n, names = table.num_rows, table.column_names
    kinds = table["event"].cast(pa.string()) if "event" in names else pa.array(["buy"] * n)
    known = pa.array(list(EVENTS), pa.string())
    place = pc.index_in(kinds, value_set=known)
    clock = table["timestamp"] if "timestamp" in names else pa.array(np.arange(n) + 1_600_000_000)
    columns: dict[str, Any] = {
        "user_id": table["user_id"].cast(pa.string()),
        "item_id": table["item_id"].cast(pa.string()),
        "kind": pc.coalesce(pa.array(list(EVENTS.values())).take(place), kinds),
        "time": pc.multiply(clock.cast(pa.int64()), 1_000_000).cast(TIME),
    }
    columns |= {name: table[name] for name in ("quantity", "price") if name in names}
    baskets = [name for name in BASKETS if name in names]
    if baskets:
        columns["order_id"] = table[baskets[0]].cast(pa.string())
    return pa.table(columns)


def main(argv: list[str]) -> dict[str, Any]:
    """Prepare synthetic events, or those of ``--data``, and measure it."""
    args = report.parser(__doc__).parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "events.parquet"
        if args.data is None:
            rows = QUICK_ROWS if args.quick else ROWS
            began = time.perf_counter()
            write(rows, args.seed, path)
            report.say(f"{rows:,} events written in {time.perf_counter() - began:.1f} s")
            title = f"{rows:,} synthetic power-law events"
        else:
            folder = find(args.data, "")
            pq.write_table(as_events(folder), path)
            title = folder.resolve().name
        with Meter() as meter:
            prepared = prepare(
                path, progress=lambda done, total, note="": report.say(f"{done}/{total} {note}")
            )
    account = prepared.report
    Console(width=None if sys.stdout.isatty() else 120).print(account.to_rich())
    figures = {
        "rows_in": account.rows_in,
        "rows_out": account.rows_out,
        "events_per_s": account.rows_in / meter.wall_s,
        "prepare_s": meter.wall_s,
        "prepare_cpu_s": meter.cpu_s,
        "within_budget": meter.wall_s < BUDGET_S and meter.peak_mb < BUDGET_MB,
    }
    report.show(title, {"prepare": figures | {"peak_mb": meter.peak_mb}})
    return report.outcome(
        meter,
        protocol=f"{title}, Parquet on disk -> Dataset: all steps of endcap prepare with default "
        "settings; drawing and writing the events is not counted",
        figures=figures,
        seed=args.seed,
        fingerprint=account.fingerprint,
        removed={step.name: step.removed for step in account.steps},
    )

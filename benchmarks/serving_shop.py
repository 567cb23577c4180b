"""A made-up shop to serve: a catalogue and events by power laws, stored and learnt once."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from endcap.events.opening import open_store
from endcap.prepare.run import prepare_store
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train
from endcap.schema.settings import Settings
from endcap.schema.tables import EVENTS, ITEMS, TIME

DAY = 86_400_000_000


def make_shop(
    folder: Path, items: int, seed: int, recipe: str, each: int = 4, users: int = 0
) -> None:
    """Store a made-up catalogue and its events, `each` for an item, and fit a recipe; once.

    Parameters
    ----------
    users
        Of whom each has an event; 0: a twentieth of the events, of whom many have none.
    """
    if (folder / "models" / "current").exists():
        return
    settings = Settings.parse({"store": {"folder": folder, "queue_events": 10_000_000}})
    store = open_store(settings.store)
    try:
        store.catalogue.upsert_items(_catalogue(items, seed))
        for part in _events(items, seed, each, users).to_batches(max_chunksize=50_000):
            store.log.append(pa.Table.from_batches([part]))
        train(prepare_store(store, settings).dataset, load_recipe(recipe), folder, seed=seed)
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


def _events(items: int, seed: int, each: int, users: int) -> pa.Table:
    rng = np.random.default_rng(seed + 1)
    count = items * each
    what = np.minimum((items * rng.power(0.45, count)).astype(int), items - 1)
    what[:items] = np.arange(items)  # each item was met at least once
    who = ((users or count // 20) * rng.power(0.6, count)).astype(int)
    who[:users] = rng.permutation(users)[:count]
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

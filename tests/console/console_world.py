"""A tiny shop with a trained model behind the real server, for the console's tests."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from endcap.events.opening import open_store
from endcap.events.validate import check, check_items
from endcap.prepare.dataset import Dataset
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train
from endcap.schema.settings import Settings, StoreSettings
from endcap.serve.http.app import create_app
from endcap.serve.http.server import Server, address, listen

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORLDS = {
    "kitchen": "CAKE STAND,TEA CUP,SET OF 3 BOWLS,WATER BOTTLE,CAKE TINS,APRON ROSE,JAM JAR,TRAY",
    "garden": "BIRD HOUSE,METAL SIGN GARDEN,LANTERN,DAISY POT,OWL DOORSTOP,PLANT HOOK,CANDLE,KEY",
    "toys": "TOY ROBOT,PUZZLE,PARTY BOX,PAPER CHAIN,STAR NIGHT LIGHT,ALARM CLOCK,LUNCH BAG,HEART",
}
TITLES = {f"{w[0]}{n}": t for w, names in WORLDS.items() for n, t in enumerate(names.split(","))}


def items(titles: Mapping[str, str] = TITLES) -> list[dict[str, Any]]:
    """Rows of the catalogue."""
    return [
        {"item_id": i, "title": t, "price": f"{1 + n % 7}.25", "currency": "GBP"}
        for n, (i, t) in enumerate(titles.items())
    ]


def purchases(item_ids: Sequence[str] = tuple(TITLES), shoppers: int = 45) -> list[dict[str, Any]]:
    """Two baskets of each shopper, who mostly keeps to one of three worlds."""
    rng = np.random.default_rng(7)
    worlds = np.array_split(np.array(item_ids), 3)
    rows: list[dict[str, Any]] = []
    for shopper in range(shoppers):
        home = worlds[shopper % 3]
        for basket in range(2):
            when = NOW - timedelta(days=3 + shopper % 5 + 20 * basket)
            for item in rng.choice(home, min(3, len(home)), replace=False):
                rows.append(_bought(f"{1000 + shopper}", str(item), when, len(rows)))
        rows.append(_bought(f"{1000 + shopper}", str(rng.choice(item_ids)), when, len(rows)))
    return rows


def _bought(user: str, item: str, when: datetime, n: int) -> dict[str, Any]:
    return {
        "event_id": f"e{n}", "kind": "purchase", "time": when.isoformat(), "user_id": user,
        "item_id": item,
    }  # fmt: skip


def build(
    folder: Path,
    rows: list[dict[str, Any]],
    bought: list[dict[str, Any]],
    **unchecked: Sequence[Any],
) -> None:
    """Fill a store and train on it; `unchecked` columns go in behind the validator's back."""
    catalogue = check_items(rows, now=NOW, source="test").items
    for name, values in unchecked.items():
        place = catalogue.schema.get_field_index(name)
        kind = catalogue.schema.field(place)
        catalogue = catalogue.set_column(place, kind, pa.array(values, kind.type))
    events = check(bought, now=NOW, live=False, source="test").events
    assert catalogue.num_rows == len(rows)
    assert events.num_rows == len(bought)
    store = open_store(StoreSettings(folder=folder))
    store.catalogue.upsert_items(catalogue)
    store.log.append(events)
    store.close()
    column = {n: events[n].combine_chunks() for n in ("user_id", "item_id", "kind", "time")}
    data = Dataset.of(
        column["user_id"], column["item_id"], kinds=column["kind"],
        times=column["time"].cast("int64"), catalogue=catalogue,
    )  # fmt: skip
    train(data, load_recipe("simple"), folder)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder for real; yield its address."""
    app = create_app(Settings(store=StoreSettings(folder=folder)))
    bound = listen("127.0.0.1", 0)
    server = Server(app, drain_seconds=2, notice_seconds=0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield address(bound)
    finally:
        server.should_exit = True
        thread.join()

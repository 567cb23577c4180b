"""Compile what servers would compile at their first start: ``python -m endcap.serve.compiling``.

For whoever builds an image. Numba keeps what it compiled in ``NUMBA_CACHE_DIR``, for the kind of
processor on which it did.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa

from endcap.events.opening import open_store
from endcap.events.store import Store
from endcap.recommend.recipe import load_recipe
from endcap.recommend.recommender import Recommender
from endcap.recommend.training import train_store
from endcap.schema.kinds import KINDS
from endcap.schema.settings import Settings
from endcap.schema.tables import EVENTS, ITEMS
from endcap.serve.rehearsal import rehearse
from endcap.serve.state import LiveState

GOODS: Final = 60
SHOPPERS: Final = 80
DAYS: Final = 30


def compile_recipes(names: Sequence[str]) -> None:
    """Train a made-up shop by each recipe, and ask every place of it."""
    for name in names:
        with TemporaryDirectory() as place:
            settings = Settings.parse({"store": {"folder": place}})
            store = open_store(settings.store)
            make_up(store)
            train_store(store, load_recipe(name), settings)
            live = LiveState(store, {name: kind.weight for name, kind in KINDS.items()})
            rehearse(Recommender.load(Path(place)), live)
            live.close()
            store.close()


def make_up(store: Store) -> None:
    """Fill a store with a little shop in which every place has something to say."""
    goods = pa.Table.from_pylist([_item(n) for n in range(GOODS)], schema=ITEMS)
    store.catalogue.upsert_items(goods)
    rows = [row for user in range(SHOPPERS) for row in _shopping(user)]
    store.log.append(pa.Table.from_pylist(rows, schema=EVENTS))


def _item(number: int) -> dict[str, Any]:
    return {
        "item_id": f"i{number}",
        "title": f"{('lamp', 'table')[number % 2]} number {number}",
        "brand": f"b{number % 5}",
        "categories": [f"goods > c{number % 3}"],
        "price": Decimal(number + 1),
        "domain": ("books", "films")[number % 2],
    }


def _shopping(user: int) -> list[dict[str, Any]]:
    began = datetime.now(UTC) - timedelta(days=DAYS, minutes=-100 * user)
    return [
        {
            "event_id": f"{user}-{n}-{kind}",
            "kind": kind,
            "user_id": f"u{user}",
            "item_id": f"i{(user * 7 + n * n) % GOODS}",
            "time": began + timedelta(minutes=n),
            "received": began + timedelta(minutes=n),
        }
        for n in range(8)
        for kind in ("view", "purchase")
    ]


if __name__ == "__main__":
    compile_recipes(sys.argv[1:] or ["shop"])

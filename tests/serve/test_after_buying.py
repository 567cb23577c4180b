"""The recipe that comes along: what was bought leaves, and what completes it comes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served_shop import Served

from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings

KINDS = ("Camera", "Card", "Bag")
EACH = 8


def item(kind: int, number: int) -> str:
    return f"{KINDS[kind]}-{number}".lower()


@pytest.fixture
def shop(serve: Callable[..., Served], tmp_path: Path) -> Served:
    """Who buys a camera buys the card of its number with it; bags go with each other."""
    shop = serve(serve={"timeout_ms": 30_000})
    shop.items(
        *[
            {"item_id": item(kind, n), "title": f"{name} number {n}", "price": 10 + n,
             "categories": [name], "category": name}
            for kind, name in enumerate(KINDS)
            for n in range(EACH)
        ]
    )  # fmt: skip
    for user in range(80):
        basket = [item(0, user % EACH), item(1, user % EACH)]
        if user % 4 == 3:
            basket = [item(2, user % EACH), item(2, (user + 1) % EACH)]
        shop.post(
            *[
                {"kind": kind, "user_id": f"u{user}", "item_id": one, "price": 10,
                 "currency": "EUR", "session_id": f"s{user}"}
                for kind in ("view", "purchase")
                for one in basket
                if kind == "purchase" or one.startswith("camera")
            ]
        )  # fmt: skip
    settings = Settings.parse({"store": {"folder": tmp_path}})
    train_store(shop.runtime.store, load_recipe("shop"), settings)
    shop.runtime.recommender.reload()
    return shop


def ids(slate: dict[str, Any]) -> list[str]:
    return [one["item_id"] for one in slate["items"]]


def test_what_was_bought_leaves_and_what_completes_it_comes(shop: Served) -> None:
    ask: dict[str, Any] = {"visitor_id": "v", "k": 4}
    shop.post({"kind": "view", "visitor_id": "v", "item_id": item(0, 2)})
    page = shop.slate(placement="similar", context_items=item(0, 2), **ask)
    assert page["answered_as"] == ""
    shop.post(
        {"kind": "purchase", "visitor_id": "v", "item_id": item(0, 2), "price": 10,
         "currency": "EUR"}
    )  # fmt: skip
    assert item(0, 2) not in ids(shop.slate(**ask))
    page = shop.slate(placement="similar", context_items=item(0, 2), **ask)
    assert page["answered_as"] == "complements"
    assert ids(page)[0] == item(1, 2)
    assert ids(shop.slate(placement="after-purchase", **ask))[0] == item(1, 2)

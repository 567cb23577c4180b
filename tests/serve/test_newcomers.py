"""An item that was just posted is recommended to a stranger whom it fits, over HTTP."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served_shop import Served

from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings

KINDS = ("brass lamp", "oak table", "wool blanket", "tin kettle", "clay vase", "silk scarf")
EACH = 12


def goods(number: int, kind: int, word: str = "") -> dict[str, Any]:
    title = f"{KINDS[kind]} {word or f'model {number}'}"
    return {"item_id": f"{kind}-{number}", "title": title, "price": 5 + number, "stock": 5,
            "categories": [KINDS[kind].split()[1]]}  # fmt: skip


@pytest.fixture
def shop(serve: Callable[..., Served], tmp_path: Path) -> Served:
    """Shoppers keep to one kind of thing each; then the models are trained."""
    shop = serve()
    shop.items(*[goods(n, kind) for kind in range(len(KINDS)) for n in range(EACH)])
    events = [
        {
            "kind": "view",
            "user_id": f"u{user}",
            "item_id": f"{user % 6}-{(user * 5 + n * n) % EACH}",
        }
        for user in range(60)
        for n in range(4)
    ]
    assert shop.post(*events).json()["stored"] == len(events)
    settings = Settings.parse({"store": {"folder": tmp_path}})
    train_store(shop.runtime.store, load_recipe("simple"), settings)
    shop.runtime.recommender.reload()
    return shop


def look(shop: Served, who: str, *items: str) -> None:
    shop.post(*[{"kind": "view", "visitor_id": who, "item_id": item} for item in items])


def place(slate: dict[str, Any], item_id: str) -> dict[str, Any] | None:
    return next((item for item in slate["items"] if item["item_id"] == item_id), None)


def test_a_fitting_stranger_gets_it_with_the_next_request_and_its_true_reason(
    shop: Served,
) -> None:
    look(shop, "v", "0-1", "0-2")
    before = shop.slate(visitor_id="v", k=8)
    assert before["served_by"] == "personal"
    shop.items(goods(99, 0, "curved"))
    after = shop.slate(visitor_id="v", k=8)
    found = place(after, "0-99")
    assert found is not None
    assert (after["served_by"], after["degraded"]) == ("personal", False)
    assert found["source"] == "newcomer"
    assert found["score"] > after["items"][-1]["score"]
    scores = [item["score"] for item in after["items"]]
    assert scores == sorted(scores, reverse=True)
    reason = found["reasons"][0]
    assert (reason["kind"], reason["event"]) == ("content", "view")
    assert reason["item_id"] in {"0-1", "0-2"}
    assert 0 < reason["share"] <= 1
    assert found["why"].startswith("Because it resembles brass lamp")


def test_whom_it_does_not_fit_gets_what_they_got_before(shop: Served) -> None:
    look(shop, "w", "1-1", "1-2")
    before = [item["item_id"] for item in shop.slate(visitor_id="w", k=6)["items"]]
    shop.items(goods(99, 0, "curved"))
    after = [item["item_id"] for item in shop.slate(visitor_id="w", k=6)["items"]]
    assert after == before


def test_it_obeys_filters_boosts_stock_exclusions_and_deletion(shop: Served) -> None:
    look(shop, "v", "0-1", "0-2")
    shop.items({**goods(99, 0, "curved"), "price": 500})
    ask = {"visitor_id": "v", "k": 8}
    plain = place(shop.slate(**ask), "0-99")
    assert plain is not None
    assert place(shop.slate(**ask, filter="price < 100"), "0-99") is None
    raised = place(shop.slate(**ask, boost="price"), "0-99")
    assert raised is not None
    assert raised["rank"] == 1
    assert place(shop.slate(**ask, exclude="0-99"), "0-99") is None
    shop.items({**goods(99, 0, "curved"), "stock": 0})
    assert place(shop.slate(**ask), "0-99") is None
    shop.items(goods(99, 0, "curved"))
    assert place(shop.slate(**ask), "0-99") is not None
    assert shop.client.delete("/v1/items/0-99").status_code == 200
    assert place(shop.slate(**ask), "0-99") is None


def test_it_changes_with_its_description(shop: Served) -> None:
    look(shop, "v", "0-1", "0-2")
    shop.items({**goods(99, 1), "item_id": "n"})
    assert place(shop.slate(visitor_id="v", k=8), "n") is None
    shop.items({**goods(98, 0), "item_id": "n"})
    assert place(shop.slate(visitor_id="v", k=8), "n") is not None


def test_it_is_known_to_a_server_that_starts_later(
    shop: Served, serve: Callable[..., Served]
) -> None:
    look(shop, "v", "0-1", "0-2")
    shop.items(goods(99, 0, "curved"))
    again = serve().slate(visitor_id="v", k=8)
    assert place(again, "0-99") is not None

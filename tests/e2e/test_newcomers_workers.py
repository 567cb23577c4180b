"""An item posted to one worker is recommended by all of them with the next request."""

from pathlib import Path

import httpx
import pytest
from http_shop import ENDCAP, ShopProcess

from endcap.events.opening import open_store
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings

KINDS = ("lamp", "table", "blanket")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A shop whose shoppers keep to one kind of thing each, trained."""
    folder = tmp_path / "shop"
    with ShopProcess(folder) as shop, shop.client() as client:
        items = [{"item_id": f"{k}{n}", "title": f"{k} {n}"} for k in KINDS for n in range(10)]
        client.put("/v1/items", json={"items": items}).raise_for_status()
        events = [
            {"kind": "view", "user_id": f"u{u}", "item_id": f"{KINDS[u % 3]}{(u + n * n) % 10}"}
            for u in range(30)
            for n in range(4)
        ]
        client.post("/v1/events/batch", json={"events": events}).raise_for_status()
        assert shop.stop() == 0
    settings = Settings.parse({"store": {"folder": folder}})
    store = open_store(settings.store)
    train_store(store, load_recipe("simple"), settings)
    store.close()
    return folder


def test_two_workers_both_know_it_at_once(folder: Path) -> None:
    with ShopProcess(folder, [*ENDCAP, "--workers", "2"]) as shop:
        for number in range(3):
            with shop.client() as client:
                client.get("/readyz", timeout=120).raise_for_status()
                item = {"item_id": f"new{number}", "title": f"curved lamp {number}"}
                client.put("/v1/items", json={"items": [item]}).raise_for_status()
            for ask in range(8):  # each connection is given to one of the two
                who = f"v{number}-{ask}"
                view = {"kind": "view", "visitor_id": who, "item_id": "lamp3"}
                httpx.post(f"{shop.url}/v1/events", json=view, timeout=60).raise_for_status()
                params = {"visitor_id": who, "k": 12}
                slate = httpx.get(f"{shop.url}/v1/recommendations", params=params, timeout=60)
                assert slate.json()["served_by"] == "personal"
                found = {i["item_id"]: i["source"] for i in slate.json()["items"]}
                assert found.get(item["item_id"]) == "newcomer"

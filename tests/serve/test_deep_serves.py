"""A sequence model behind a server: each event of a shopper changes their next slate."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from served_shop import Served

from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings

ITEMS, SHOPPERS, STEPS = 12, 120, 6
BEGAN = datetime.now(UTC) - timedelta(days=20)
RECIPE = """
[models.sasrec]
plugin = "sasrec"
[models.sasrec.settings]
width = 16
epochs = 15
dropout = 0.1
batch_events = 100
learning_rate = 0.01
held_out = 0

[models.popular]
plugin = "popular"

[placements.home.hide]
kinds = ["dismiss"]

[[placements.home.levels]]
name = "personal"
evidence = "history"
weights = {sasrec = 1.0}
live = 0
live_trending = 0

[[placements.home.levels]]
name = "popular"
evidence = "none"
weights = {popular = 1.0}
"""


def view(item: int, when: datetime | None = None, **who: str) -> dict[str, Any]:
    time = {} if when is None else {"time": when.isoformat()}
    return {"kind": "view", "item_id": f"i{item % ITEMS}", **who, **time}


@pytest.fixture
def shop(serve: Callable[..., Served], tmp_path: Path) -> Served:
    """Everybody walks round a circle of twelve items; a sequence model learns the way."""
    pytest.importorskip("torch")
    shop = serve(serve={"timeout_ms": 30_000})
    shop.items(*[{"item_id": f"i{n}", "title": f"Item {n}"} for n in range(ITEMS)])
    for user in range(SHOPPERS):
        walk = range(user, user + STEPS)
        start = BEGAN + timedelta(minutes=user)
        shop.post(
            *[
                view(item, start + timedelta(days=n), user_id=f"u{user}")
                for n, item in enumerate(walk)
            ]
        )
    (tmp_path / "deep.toml").write_text(RECIPE)
    settings = Settings.parse({"store": {"folder": tmp_path}})
    train_store(shop.runtime.store, load_recipe(str(tmp_path / "deep.toml")), settings)
    shop.runtime.recommender.reload()
    return shop


@pytest.mark.parametrize("who", [{"visitor_id": "v"}, {"user_id": "new"}, {"user_id": "u5"}])
def test_the_next_slate_follows_each_event(shop: Served, who: dict[str, str]) -> None:
    for item in (3, 4, 9, 0):
        assert shop.post(view(item, **who)).json()["stored"] == 1
        slate = shop.slate(**who, k=3)
        assert (slate["served_by"], slate["items"][0]["item_id"]) == (
            "personal",
            f"i{(item + 1) % 12}",
        )


def test_a_guest_who_signs_in_brings_the_way_along(shop: Served) -> None:
    shop.post(view(6, visitor_id="w1"))
    assert shop.client.post("/v1/alias", json={"visitor_id": "w1", "user_id": "w"}).is_success
    assert shop.slate(user_id="w", k=3)["items"][0]["item_id"] == "i7"

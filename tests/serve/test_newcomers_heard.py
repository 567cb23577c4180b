"""What others do with an item posted after the training moves it, and it speaks for others."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from served_shop import Served

from endcap.recommend import chain
from endcap.recommend.hearing import Heard
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings

KINDS = ("brass lamp", "oak table", "wool blanket", "tin kettle")
EACH = 15
NEW = "new"
PAGE = "1-3"


def goods(number: int, kind: int) -> dict[str, Any]:
    title = f"{KINDS[kind]} model {number}"
    return {"item_id": f"{kind}-{number}", "title": title, "price": 5 + number, "stock": 5,
            "categories": [KINDS[kind].split()[1]]}  # fmt: skip


def buys(who: str, *items: str) -> list[dict[str, Any]]:
    return [
        {"kind": "purchase", "user_id": who, "item_id": item, "price": 5, "currency": "EUR"}
        for item in items
    ]


@pytest.fixture
def shop(serve: Callable[..., Served], tmp_path: Path) -> Served:
    """Sixty shoppers buy four things each, all things alike; then the models are trained."""
    shop = serve(serve={"timeout_ms": 30_000})
    shop.items(*[goods(n, kind) for kind in range(len(KINDS)) for n in range(EACH)])
    for user in range(60):
        kind = user % 4
        shop.post(*buys(f"u{user}", *[f"{kind}-{(user * 7 + n * 4) % EACH}" for n in range(4)]))
    settings = Settings.parse({"store": {"folder": tmp_path}})
    train_store(shop.runtime.store, load_recipe("shop"), settings)
    shop.runtime.recommender.reload()
    return shop


def ids(slate: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in slate["items"]]


def test_what_is_bought_now_is_trending_now(shop: Served) -> None:
    late = ids(shop.slate(placement="trending", k=60))[-1]
    for n in range(40):
        shop.post(*buys(f"n{n}", late))
    assert ids(shop.slate(placement="trending", k=5))[0] == late
    stranger = shop.slate(visitor_id="nobody", k=5)
    assert stranger["served_by"] == "trending"
    assert ids(stranger)[0] == late


def test_nobody_alone_makes_anything_trend(shop: Served) -> None:
    *_, other, late = ids(shop.slate(placement="trending", k=60))
    for _ in range(40):
        shop.post(*buys("one", late))
    shop.post(*buys("two", other), *buys("three", other))
    assert ids(shop.slate(placement="trending", k=5))[:2] == [other, late]


def sell_the_newcomer(shop: Served) -> None:
    """An item unlike all others is posted; thirty shoppers buy it with an old one."""
    shop.items({"item_id": NEW, "title": "Quince jam", "price": 4, "stock": 5})
    for n in range(30):
        shop.post(*buys(f"n{n}", PAGE, NEW))


def test_a_newcomer_trends_and_stands_beside_what_it_is_bought_with(shop: Served) -> None:
    sell_the_newcomer(shop)
    found = shop.slate(placement="trending", k=5)
    assert set(ids(found)[:2]) == {NEW, PAGE}
    first = next(item for item in found["items"] if item["item_id"] == NEW)
    assert (first["source"], first["reasons"][0]["kind"]) == ("newcomer", "trending")
    for place in ("bought-together", "similar"):
        beside = shop.slate(placement=place, context_items=PAGE, k=5)
        assert NEW in ids(beside), place
        reason = next(item for item in beside["items"] if item["item_id"] == NEW)["reasons"][0]
        assert (reason["kind"], reason.get("item_id")) in {("similar", PAGE), ("trending", None)}


def test_its_own_page_and_its_buyers_are_answered_by_the_models(shop: Served) -> None:
    sell_the_newcomer(shop)
    for place in ("bought-together", "similar"):
        page = shop.slate(placement=place, context_items=NEW, k=5)
        assert (page["served_by"], page["degraded"]) not in {("popular", True), ("trending", True)}
        assert PAGE in ids(page)
    shop.post({"kind": "view", "visitor_id": "v", "item_id": NEW})
    own = shop.slate(visitor_id="v", k=5)
    assert own["served_by"] == "personal"
    assert PAGE in ids(own)
    reasons = [reason for item in own["items"] for reason in item["reasons"]]
    assert NEW in {reason.get("item_id") for reason in reasons}


def test_a_newcomer_that_is_like_another_speaks_as_that_one_does(shop: Served) -> None:
    shop.items({**goods(99, 2), "item_id": NEW})
    page = shop.slate(placement="looks-similar", context_items=NEW, k=4)
    assert page["served_by"] == "content"
    assert {item_id.split("-")[0] for item_id in ids(page)} == {"2"}


@contextmanager
def deaf() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chain, "hear", lambda *_: Heard({}, {}, _[2].parts.sum(axis=0) * 0.0))
        yield


def test_twin_models_that_hear_nothing_of_it_never_show_it(shop: Served) -> None:
    sell_the_newcomer(shop)
    with deaf():
        assert NEW not in ids(shop.slate(placement="trending", k=60))
    assert NEW in ids(shop.slate(placement="trending", k=60))


def test_it_obeys_filters_stock_and_deletion(shop: Served) -> None:
    sell_the_newcomer(shop)
    ask: dict[str, Any] = {"placement": "trending", "k": 5}
    assert NEW not in ids(shop.slate(**ask, filter="price > 4.5"))
    assert NEW not in ids(shop.slate(**ask, exclude=NEW))
    shop.items({"item_id": NEW, "title": "Quince jam", "price": 4, "stock": 0})
    assert NEW not in ids(shop.slate(**ask))
    shop.items({"item_id": NEW, "title": "Quince jam", "price": 4, "stock": 1})
    assert NEW in ids(shop.slate(**ask))
    assert shop.client.delete(f"/v1/items/{NEW}").status_code == 200
    assert NEW not in ids(shop.slate(**ask))


def test_such_slates_are_made_again_bit_for_bit(shop: Served) -> None:
    sell_the_newcomer(shop)
    shop.post({"kind": "view", "visitor_id": "v", "item_id": NEW})
    asked = [
        shop.slate(visitor_id="v", k=5),
        shop.slate(placement="trending", k=5),
        shop.slate(placement="bought-together", context_items=NEW, k=5),
        shop.slate(placement="similar", context_items=PAGE, k=5),
    ]
    for n in range(20):
        shop.post(*buys(f"m{n}", "0-1", NEW))
    shop.items({"item_id": NEW, "title": "Quince jelly", "price": 40, "stock": 5})
    shop.runtime.answered.flush()
    for slate in asked:
        again = shop.client.get(f"/v1/slates/{slate['request_id']}").json()
        assert (again["identical"], again["gone"]) == (True, [])

"""Filters over HTTP: the catalogue of this moment, and errors that point."""

from pathlib import Path
from typing import Any

import pytest
from served_shop import Served

from endcap.serve.keys import KeyRing


def test_a_filter_follows_the_catalogue_at_once(shop: Served) -> None:
    shop.items(
        *({"item_id": i, "price": p, "stock": 3} for i, p in zip("abc", (1, 20, 30), strict=True))
    )

    def shown(condition: str) -> set[str]:
        body = {"k": 10, "filter": condition}
        answer = shop.client.post("/v1/recommendations", json=body)
        return {item["item_id"] for item in answer.json()["items"]}

    assert shown("price < 25") == {"a", "b"}
    shop.items({"item_id": "b", "price": 26, "stock": 3})
    assert shown("price < 25") == {"a"}
    shop.items({"item_id": "d", "price": 2, "stock": 1})
    assert shown("price < 25 and stock < 3") == {"d"}
    shop.client.delete("/v1/items/d")
    assert shown("price < 25 and stock < 3") == set()


@pytest.mark.parametrize(
    ("condition", "code", "hint"),
    [
        ("pric < 5", "bad-filter", "Did you mean 'price'?"),
        ("not " * 9 + "true", "filter-too-expensive", ""),
    ],
)
def test_a_bad_filter_is_refused_and_points_at_the_character(
    shop: Served, condition: str, code: str, hint: str
) -> None:
    for answer in (
        shop.client.post("/v1/recommendations", json={"filter": condition}),
        shop.client.get("/v1/recommendations", params={"filter": condition}),
    ):
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, code)
        assert "^" in problem["detail"]
        assert problem.get("hint", "") == hint


THERE = "distance(attributes.lat, attributes.lon, {who}.lat, {who}.lon) < 20"
NEAR_ME = {
    "levels": [
        {
            "name": name,
            "evidence": "none",
            "weights": {"trending": 1.0},
            "filter": THERE.format(who=who),
        }
        for name, who in (("near-me", "context"), ("near-home", "user"))
    ],
    "filter": f"{THERE.format(who='context')} or {THERE.format(who='user')}",
    "fill": True,
}
PARIS, LYON = {"lat": 48.8566, "lon": 2.3522}, {"lat": 45.764, "lon": 4.8357}


def near_me(shop: Served) -> None:
    """A shop with a place of what is near, two towns, and a shopper at home in Lyon."""
    spots = {"p1": PARIS, "p2": {"lat": 48.9, "lon": 2.4}, "l1": LYON}
    shop.items(*({"item_id": i, "attributes": spot, "stock": 1} for i, spot in spots.items()))
    shop.items({"item_id": "nowhere", "stock": 1})
    shop.client.put("/v1/users", json={"users": [{"user_id": "ann", "attributes": LYON}]})
    answer = shop.client.put("/v1/placements/near-me", json=NEAR_ME)
    assert answer.status_code in {200, 201}, answer.text


def test_a_place_of_what_is_near_follows_the_request_and_else_the_account(shop: Served) -> None:
    near_me(shop)

    def shown(**query: Any) -> set[str]:
        slate = shop.slate(placement="near-me", **query)
        assert "account" not in slate["reason"]
        return {item["item_id"] for item in slate["items"]}

    assert shown(**PARIS) == {"p1", "p2"}
    assert shown(user_id="ann") == {"l1"}
    assert shown(user_id="ann", **PARIS) == {"p1", "p2", "l1"}
    assert shown() == shown(user_id="bob") == shown(lat=48.8566) == set()
    shop.client.post("/v1/alias", json={"visitor_id": "web", "user_id": "ann"})
    assert shown(visitor_id="web") == {"l1"}
    moved = {"users": [{"user_id": "ann", "attributes": PARIS}]}
    shop.client.put("/v1/users", json=moved)
    assert shown(user_id="ann") == {"p1", "p2"}
    shop.client.delete("/v1/users/ann")
    assert shown(user_id="ann") == set()


def test_a_slate_of_what_is_near_can_be_replayed_after_the_shopper_has_moved(shop: Served) -> None:
    near_me(shop)
    for query in ({"user_id": "ann"}, {**PARIS}):
        slate = shop.slate(placement="near-me", **query)
        shop.client.put("/v1/users", json={"users": [{"user_id": "ann", "attributes": PARIS}]})
        again = shop.client.get(f"/v1/slates/{slate['request_id']}").json()
        assert again["identical"], again["gone"]
        assert again["answered"] == [item["item_id"] for item in slate["items"]]


def test_a_browser_does_not_learn_where_an_account_lives(shop: Served, tmp_path: Path) -> None:
    near_me(shop)
    ring = KeyRing(tmp_path)
    secret, public = ring.create("secret")[0], ring.create("public")[0]

    def shown(key: str, **query: Any) -> set[str]:
        head = {"authorization": f"Bearer {key}"}
        query = {"placement": "near-me", **query}
        answer = shop.client.get("/v1/recommendations", params=query, headers=head)
        assert answer.status_code == 200, answer.text
        return {item["item_id"] for item in answer.json()["items"]}

    assert shown(secret, user_id="ann") == {"l1"}
    assert shown(public, user_id="ann") == set()
    assert shown(public, user_id="ann", **PARIS) == {"p1", "p2"}


def test_a_device_that_knows_no_place_may_say_so(shop: Served) -> None:
    near_me(shop)
    body = {"placement": "near-me", "lat": None, "lon": None}
    assert shop.client.post("/v1/recommendations", json=body).json()["items"] == []
    for path in ("/v1/recommendations", "/v1/groups", "/v1/items/p1/similar"):
        assert shop.client.get(path, params={"lat": "null"}).status_code == 422, path
        assert shop.client.get(path, params=PARIS).status_code == 200, path


@pytest.mark.parametrize("where", [{"lat": 90.1}, {"lon": -181}, {"lat": "north"}, {"lon": "nan"}])
def test_no_place_on_earth_is_refused_by_name(shop: Served, where: dict[str, Any]) -> None:
    (name,) = where
    for answer in (
        shop.client.get("/v1/recommendations", params=where),
        shop.client.post("/v1/recommendations", json=where),
    ):
        assert answer.status_code == 422, answer.text
        assert name in answer.text

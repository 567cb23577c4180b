"""Items and users over HTTP."""

from typing import Any

import pytest
from served_shop import Served


def test_an_item_comes_back_as_it_was_given(shop: Served) -> None:
    item = {
        "item_id": "ä/b c?#",
        "title": "茶壶",
        "categories": ["Home > Tea"],
        "price": "12.50",
        "sale_price": "0.125",
        "currency": "GBP",
        "availability": "in_stock",
        "stock": 3,
        "attributes": {"colour": "blue"},
        "relations": {"accessory_of": ["x"]},
        "created": "2026-01-02T03:04:05+00:00",
    }
    assert shop.items(item).json()["stored"] == 1
    assert shop.client.get("/v1/items/%C3%A4%2Fb%20c%3F%23").json() == item
    assert shop.items(item).json()["duplicate"] == 1


def test_pages_cover_the_catalogue_once(shop: Served) -> None:
    ids = sorted(f"i{n}" for n in range(25))
    shop.items(*[{"item_id": i} for i in ids])
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        page = shop.client.get("/v1/items", params={"limit": 10, "cursor": cursor}).json()
        seen += [item["item_id"] for item in page["items"]]
        cursor, pages = page["next"], pages + 1
    assert (seen, pages) == (ids, 3)


@pytest.mark.parametrize("cursor", ["*", "abc", "AA", "ab cd"])
def test_a_made_up_cursor_is_refused(shop: Served, cursor: str) -> None:
    answer = shop.client.get("/v1/items", params={"cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "cursor"


def test_a_deleted_or_sold_out_item_is_not_shown_from_the_next_request_on(shop: Served) -> None:
    shop.items(*[{"item_id": i} for i in "abc"])

    def shown() -> set[str]:
        return {item["item_id"] for item in shop.slate(k=10)["items"]}

    assert shown() == {"a", "b", "c"}
    assert shop.client.delete("/v1/items/a").json() == {"deleted": 1}
    assert shop.client.delete("/v1/items/a").json() == {"deleted": 0}
    assert shop.client.get("/v1/items/a").status_code == 404
    assert shown() == {"b", "c"}
    shop.items({"item_id": "b", "availability": "out_of_stock"})
    assert shown() == {"c"}
    shop.items({"item_id": "b", "availability": "in_stock"})
    assert shown() == {"b", "c"}


def test_a_bad_item_does_not_sink_the_others(shop: Served) -> None:
    rows: list[Any] = [{"item_id": "a"}, {"title": "no id"}, 7, {"item_id": "b", "price": -1}]
    receipt = shop.items(*rows).json()
    assert (receipt["stored"], receipt["quarantined"]) == (1, 3)
    assert [e["code"] for e in receipt["errors"]] == ["missing-id", "wrong-type", "negative-price"]
    assert [e["index"] for e in receipt["errors"]] == [1, 2, 3]


def test_users_are_stored(shop: Served) -> None:
    body = {"users": [{"user_id": "u", "attributes": {"tier": "gold"}}, {"attributes": {}}]}
    receipt = shop.client.put("/v1/users", json=body).json()
    assert (receipt["stored"], receipt["quarantined"]) == (1, 1)
    (row,) = shop.runtime.store.catalogue.users().to_pylist()
    assert row == {"user_id": "u", "attributes": '{"tier":"gold"}', "consent": None}


def test_a_history_is_newest_first_and_a_stranger_has_none(shop: Served) -> None:
    shop.post(
        {"kind": "rating", "user_id": "u", "item_id": "a", "value": 4},
        {"kind": "search", "user_id": "u", "query": "tea"},
        {"kind": "view", "user_id": "u", "item_id": "b"},
    )
    events = shop.client.get("/v1/users/u/history").json()["events"]
    assert {(e["item_id"], e["value"]) for e in events} == {("b", None), ("a", 4.0)}
    assert shop.client.get("/v1/users/nobody/history").json()["events"] == []


def test_what_entities_are_tied_to_comes_with_an_item_and_a_nameless_one_is_quarantined(
    shop: Served,
) -> None:
    maker = {"name": "Acme", "owned_by": {"name": "Globex", "part_of": ["Initech"]}}
    good = {"item_id": "mug", "relations": {"maker": maker}}
    bad = {"item_id": "lamp", "relations": {"maker": {"owned_by": "Globex"}}}
    answer = shop.items(good, bad).json()
    assert (answer["received"], answer["stored"], answer["quarantined"]) == (2, 1, 1)
    (error,) = answer["errors"]
    assert (error["code"], error["field"]) == ("missing-name", "relations")
    assert "relations.maker" in error["message"]
    assert shop.client.get("/v1/items/mug").json() == good
    kept = shop.runtime.store.quarantine.rows().to_pylist()
    assert [row["reason"] for row in kept] == ["missing-name"]
    assert "lamp" in kept[0]["payload"]

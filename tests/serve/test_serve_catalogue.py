"""Items and users over HTTP."""

from concurrent.futures import ThreadPoolExecutor
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


def patch(shop: Served, *rows: Any, **headers: str) -> dict[str, Any]:
    answer = shop.client.patch("/v1/items", json={"items": list(rows)}, headers=headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


LAMP = {
    "item_id": "lamp",
    "title": "Lamp",
    "price": "12.50",
    "stock": 3,
    "attributes": {"colour": "blue", "watt": 5},
}


def item(shop: Served, item_id: str = "lamp") -> dict[str, Any]:
    told: dict[str, Any] = shop.client.get(f"/v1/items/{item_id}").json()
    return told


def test_a_patch_changes_only_what_it_gives_and_shows_with_the_next_request(shop: Served) -> None:
    """Promise: stock alone leaves title and price; `PUT`, the twin, replaces all of the item."""
    shop.items(LAMP, {"item_id": "b"})
    assert patch(shop, {"item_id": "lamp", "stock": 0})["stored"] == 1
    assert item(shop) == LAMP | {"stock": 0}
    assert [shown["item_id"] for shown in shop.slate(k=10)["items"]] == ["b"]
    assert patch(shop, {"item_id": "lamp", "stock": 2, "price": 11})["stored"] == 1
    told = {shown["item_id"]: shown["properties"] for shown in shop.slate(k=10)["items"]}
    assert (told["lamp"]["title"], float(told["lamp"]["price"])) == ("Lamp", 11.0)
    assert patch(shop, {"item_id": "lamp", "stock": 2})["duplicate"] == 1
    patch(
        shop, {"item_id": "lamp", "title": None, "colour": "red"}, {"item_id": "lamp", "stock": 7}
    )
    merged = {"colour": "red", "watt": 5}
    assert item(shop) == {"item_id": "lamp", "price": "11.00", "stock": 7, "attributes": merged}
    shop.items({"item_id": "lamp", "stock": 0})
    assert item(shop) == {"item_id": "lamp", "stock": 0}


def test_a_patch_of_what_is_not_there_is_a_fault_of_its_row(shop: Served) -> None:
    shop.items(LAMP)
    rows: list[Any] = [{"item_id": "no", "stock": 1}, {"item_id": "lamp", "price": -1}, 7,
                       {"item_id": "lamp", "stock": 1}, {"stock": 1}]  # fmt: skip
    told = patch(shop, *rows)
    assert (told["received"], told["stored"], told["quarantined"]) == (5, 1, 4)
    codes = ["no-such-item", "negative-price", "wrong-type", "missing-id"]
    assert [(e["index"], e["code"]) for e in told["errors"]] == list(
        zip((0, 1, 2, 4), codes, strict=True)
    )
    assert item(shop) == LAMP | {"stock": 1}
    assert shop.client.get("/v1/items/no").status_code == 404
    kept = shop.runtime.store.quarantine.rows().to_pylist()
    (missing,) = [row for row in kept if row["reason"] == "no-such-item"]
    assert (missing["payload"], missing["line"]) == ('{"item_id":"no","stock":1}', 1)
    shop.client.delete("/v1/items/lamp")
    assert patch(shop, {"item_id": "lamp", "stock": 1})["stored"] == 0
    assert shop.client.get("/v1/items/lamp").status_code == 404


def test_two_patches_at_once_lose_nothing_of_each_other(shop: Served) -> None:
    """Shelf and till each change a field of the same item; both are there in the end."""
    shop.items(LAMP)
    fields = ("stock", "price")
    for number in range(1, 31):
        with ThreadPoolExecutor(2) as pool:
            rows = [{"item_id": "lamp", name: number} for name in fields]
            assert [told["stored"] for told in pool.map(lambda row: patch(shop, row), rows)] == [
                1,
                1,
            ]
        now = item(shop)
        shown = shop.slate(k=1)["items"][0]["properties"]
        assert (now["stock"], float(now["price"]), float(shown["price"])) == (number,) * 3


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

"""Filters over HTTP: the catalogue of this moment, and errors that point."""

import pytest
from served_shop import Served


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

"""What a page shows of items, as they come, change and go."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from endcap.recommend.facts import Facts
from endcap.schema.tables import ITEMS


def items(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=ITEMS)


@pytest.fixture
def facts() -> Facts:
    return Facts(
        items(
            {"item_id": "a", "title": "Lamp", "price": Decimal("2.5"), "categories": ["Home"]},
            {"item_id": "b"},
            {"item_id": "c", "title": "Tea", "sale_price": Decimal("1.255"), "categories": []},
        )
    )


def test_what_is_unset_is_missing_and_the_order_is_that_of_a_page(facts: Facts) -> None:
    told = facts.of(["c", "a", "b", "nobody"])
    assert list(told) == ["c", "a", "b"]
    assert list(told["a"].items()) == [
        ("title", "Lamp"), ("price", "2.50"), ("categories", ["Home"])
    ]  # fmt: skip
    assert told["c"] == {"title": "Tea", "sale_price": "1.255"}
    assert told["b"] == {}


@pytest.mark.parametrize(
    ("price", "text"),
    [("0", "0.00"), ("10", "10.00"), ("-0.0001", "-0.0001"), ("100.1", "100.10"),
     ("1200", "1200.00"), ("99999999999999.9999", "99999999999999.9999")],
)  # fmt: skip
def test_money_has_two_digits_behind_the_point_or_more(price: str, text: str) -> None:
    one = Facts(items({"item_id": "a", "price": Decimal(price)}))
    assert one.of(["a"]) == {"a": {"price": text}}


def test_a_change_shows_though_the_item_was_asked_for_before(facts: Facts) -> None:
    facts.of(["a", "c"])
    facts.upsert(items({"item_id": "a", "title": "Lantern"}, {"item_id": "c"}, {"item_id": "d"}))
    assert facts.of(["a", "c", "d"]) == {"a": {"title": "Lantern"}, "c": {}, "d": {}}
    assert sorted(facts) == ["a", "b", "c", "d"]
    assert len(facts) == 4


def test_what_was_deleted_is_gone_until_it_comes_again(facts: Facts) -> None:
    facts.of(["a"])
    facts.upsert(items({"item_id": "d"}))
    facts.delete(["a", "d", "nobody"])
    assert facts.of(["a", "d"]) == {}
    assert "a" not in facts
    assert sorted(facts) == ["b", "c"]
    facts.upsert(items({"item_id": "a", "title": "New"}))
    assert facts.of(["a"]) == {"a": {"title": "New"}}

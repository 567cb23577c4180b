"""The rule sets for catalogue and users, and what the quarantine keeps."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.events.validate import (
    REASONS,
    Broken,
    Fault,
    check_items,
    check_users,
    quarantine_table,
)
from endcap.schema.tables import ITEMS, USERS

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def item(row: dict[str, Any]) -> dict[str, Any] | str:
    """Return the item, or the reason why it is none."""
    checked = check_items([row], now=NOW, source="x")
    assert checked.items.schema == ITEMS
    checked.items.validate(full=True)
    if checked.errors:
        (error,) = checked.errors
        assert checked.quarantine["table"].to_pylist() == ["items"]
        assert error.reason in REASONS
        return error.reason
    (good,) = checked.items.to_pylist()
    return {key: value for key, value in good.items() if value is not None}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, "missing-id"),
        ({"item_id": ""}, "missing-id"),
        ({"item_id": "undefined"}, "placeholder-id"),
        ({"item_id": "a", "price": "-1"}, "negative-price"),
        ({"item_id": "a", "cost": float("inf")}, "not-finite"),
        ({"item_id": "a", "currency": "€"}, "bad-currency"),
        ({"item_id": "a", "availability": "maybe"}, "bad-availability"),
        ({"item_id": "a", "expires": "soon"}, "bad-time"),
        ({"item_id": "a", "stock": "many"}, "bad-number"),
        ({"item_id": "a", "title": "\0"}, "bad-text"),
        ({"item_id": "a", "title": "x" * 5000}, "too-long"),
        ({"item_id": "a", "url": " JavaScript:alert(1)"}, "bad-url"),
        ({"item_id": "a", "image": "data:image/png;base64,AA=="}, "bad-url"),
        ({"item_id": "a", "categories": {"a": 1}}, "wrong-type"),
        ({"item_id": "a", "categories": ["c"] * 1001}, "too-long"),
        ({"item_id": "a", "categories": [{"a": 1}]}, "wrong-type"),
        ({"item_id": "a", "relations": "[]"}, "wrong-type"),
        ({"item_id": "a", "relations": {"director": {"born": 1946}}}, "missing-name"),
        ({"item_id": "a", "relations": {"director": ["x", {"name": " "}]}}, "missing-name"),
        (
            {"item_id": "a", "relations": {"by": {"name": "x", "knows": {"name": True}}}},
            "missing-name",
        ),
        (
            {"item_id": "a", "relations": '{"by": {"name": 7, "knows": ["x", {"name": "y"}]}}'},
            {"item_id": "a", "relations": '{"by":{"knows":["x",{"name":"y"}],"name":7}}'},
        ),
        ({"item_id": "a", "relations": {"by": None}}, {"item_id": "a", "relations": '{"by":null}'}),
        ({"item_id": "a", "attributes": "{"}, "bad-json"),
        ({"item_id": "a", "price": "0.10"}, {"item_id": "a", "price": Decimal("0.1000")}),
        ({"item_id": "a", "stock": -2}, {"item_id": "a", "stock": -2}),  # oversold
        ({"item_id": "a", "url": "/lamps/a"}, {"item_id": "a", "url": "/lamps/a"}),
        (
            {"item_id": "a", "availability": "In Stock"},
            {"item_id": "a", "availability": "in_stock"},
        ),
        (
            {"item_id": "a", "created": "2026-01-01", "colour": "紫", "attributes": {"x": 1}},
            {
                "item_id": "a",
                "created": datetime(2026, 1, 1, tzinfo=UTC),
                "attributes": '{"colour":"紫","x":1}',
            },
        ),
    ],
)
def test_a_rule_of_the_catalogue(row: dict[str, Any], expected: Any) -> None:
    assert item(row) == expected


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ("Home > Lights", ["Home > Lights"]),
        ("厨房>茶具", ["厨房 > 茶具"]),
        ('["Home>Lights", "Office"]', ["Home > Lights", "Office"]),
        ("[New] Lamps", ["[New] Lamps"]),
        (["a", "b", "a", "", None], ["a", "b"]),
        ([["Home", "Lights"], "Office"], ["Home > Lights", "Office"]),
        (("a",), ["a"]),
        ("", None),
        ([], None),
        ("[]", None),
    ],
)
def test_categories_as_shops_write_them(given: Any, paths: list[str] | None) -> None:
    found = item({"item_id": "a", "categories": given})
    assert isinstance(found, dict)
    assert found.get("categories") == paths


def test_users_need_an_id_and_keep_the_rest() -> None:
    rows = [
        {"user_id": 7, "city": "杭州", "consent": "granted"},
        {"user_id": "guest"},
        {"city": "x"},
        {"user_id": "0"},
    ]
    checked = check_users(rows, now=NOW, source="u.csv", lines=[2, 3, 4, 5])
    assert checked.users.schema == USERS
    assert checked.users.to_pylist() == [
        {"user_id": "7", "attributes": '{"city":"杭州"}', "consent": "granted"},
        {"user_id": "0", "attributes": None, "consent": None},
    ]
    assert [error.reason for error in checked.errors] == ["placeholder-id", "missing-id"]
    assert checked.quarantine["line"].to_pylist() == [3, 4]


def test_the_quarantine_counts_the_same_bad_row_once_wherever_it_stands() -> None:
    fault = Fault("bad-csv", "Misplaced quotes.")
    table = quarantine_table(
        [
            Broken("events", 1, fault, "a,b"),
            Broken("events", 9, fault, "a,b"),
            Broken("events", None, fault, "a,c"),
            Broken("items", 1, fault, "a,b"),
            Broken("events", 1, Fault("bad-csv", "Other words.", "price"), "a,b"),
        ],
        source="dir/\udcff.csv",
        received=NOW,
    )
    hashes = table["payload_hash"].to_pylist()
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 4
    assert table["source"][0].as_py() == "dir/\\udcff.csv"


@settings(deadline=None, max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=5,
    )
)
def test_any_payload_can_be_kept(payload: Any) -> None:
    fault = Fault("bad-record", "No.")
    table = quarantine_table([Broken("events", 1, fault, payload)], source="x", received=NOW)
    text = table["payload"][0].as_py()
    assert "\0" not in text
    text.encode("utf-8")
    items = check_items([{"item_id": "a", "anything": payload}], now=NOW, source="x")
    assert items.items.num_rows + items.quarantine.num_rows == 1

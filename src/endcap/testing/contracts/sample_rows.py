"""Rows that are valid, differ where told, and try every column."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from endcap.schema.tables import EVENTS, ITEMS, QUARANTINE, USERS

START: Final = datetime(2026, 3, 29, 0, 59, 59, 999_999, tzinfo=UTC)
Row = dict[str, Any]


def event(number: int, **changes: Any) -> Row:
    """Return a view by visitor ``v1``, `number` seconds after `START`."""
    return {
        "event_id": f"e{number}",
        "kind": "view",
        "time": START + timedelta(seconds=number),
        "received": START,
        "visitor_id": "v1",
        "item_id": f"i{number % 7}",
    } | changes


def full_event(number: int, **changes: Any) -> Row:
    """Return an event with every column filled, at its limits where it has any."""
    return (
        event(number, kind="purchase", user_id="u1", session_id="s1", variant_id="红色-😀")
        | {
            "original": datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            "sent_at": datetime(2261, 1, 1, tzinfo=UTC),
            "value": -1e-308,
            "quantity": -(2**63),
            "price": Decimal("-99999999999999.9999"),
            "currency": "GBP",
            "order_id": "'; DROP TABLE events; --",
            "query": "lamp\x00\n\u202e",
            "placement": "",
            "request_id": "r1",
            "position": 2**31 - 1,
            "propensity": 0.1,
            "consent": "all",
            "domain": "shop",
            "properties": '{"colour": "red"}',
        }
        | changes
    )


def events(*rows: Row) -> pa.Table:
    """Return rows in schema `EVENTS`."""
    return pa.Table.from_pylist(list(rows), schema=EVENTS)


def numbered(start: int, stop: int, **changes: Any) -> pa.Table:
    """Return the events numbered ``start … stop - 1``."""
    return events(*(event(n, **changes) for n in range(start, stop)))


def items(*rows: Row) -> pa.Table:
    """Return rows in schema `ITEMS`."""
    return pa.Table.from_pylist(list(rows), schema=ITEMS)


def full_item(item_id: str, **changes: Any) -> Row:
    """Return an item with every column filled."""
    texts = ("group_id", "domain", "title", "description", "brand", "currency", "image", "url")
    return (
        {name: f"{name} of {item_id} 灯" for name in texts}
        | {
            "item_id": item_id,
            "categories": ["Home > Lights", 'Gifts, "small"'],
            "price": Decimal("12.3456"),
            "sale_price": Decimal("0.0001"),
            "cost": Decimal("99999999999999.9999"),
            "availability": "in_stock",
            "stock": 0,
            "attributes": "{}",
            "relations": '{"accessory_of": ["i2"]}',
            "created": START,
            "expires": START + timedelta(days=9000),
        }
        | changes
    )


def users(*rows: Row) -> pa.Table:
    """Return rows in schema `USERS`."""
    return pa.Table.from_pylist(list(rows), schema=USERS)


def faulty(number: int, **changes: Any) -> Row:
    """Return a row for the quarantine, from line `number` of a file."""
    return {
        "received": START,
        "source": "log.csv",
        "line": number,
        "table": "events",
        "reason": "bad-time",
        "field": "time",
        "detail": f"'soon' on line {number} is no time.",
        "payload": f"soon,{number}",
        "payload_hash": f"h{number}",
    } | changes


def quarantined(*rows: Row) -> pa.Table:
    """Return rows in schema `QUARANTINE`."""
    return pa.Table.from_pylist(list(rows), schema=QUARANTINE)

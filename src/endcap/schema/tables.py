"""What travels between the stages, as Arrow schemas.

Times are UTC microseconds, ids are the shop's own strings, money is a decimal with its currency
beside it. A column that a source does not have is null, never a made-up value.
"""

from typing import Final

import pyarrow as pa

TIME: Final = pa.timestamp("us", tz="UTC")
MONEY: Final = pa.decimal128(18, 4)

EVENTS: Final = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),  # idempotency key
        pa.field("kind", pa.string(), nullable=False),
        pa.field("time", TIME, nullable=False),  # when it happened, clock skew corrected
        pa.field("original", TIME),  # when it happened, as the client's clock said
        pa.field("sent_at", TIME),  # when the client sent it, by the client's clock
        pa.field("received", TIME, nullable=False),  # when it reached us, by our clock
        pa.field("user_id", pa.string()),
        pa.field("visitor_id", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("item_id", pa.string()),
        pa.field("variant_id", pa.string()),
        pa.field("value", pa.float64()),  # stars, seconds
        pa.field("quantity", pa.int64()),
        pa.field("price", MONEY),  # of one unit
        pa.field("currency", pa.string()),
        pa.field("order_id", pa.string()),
        pa.field("query", pa.string()),
        pa.field("placement", pa.string()),
        pa.field("request_id", pa.string()),
        pa.field("position", pa.int32()),
        pa.field("propensity", pa.float64()),
        pa.field("consent", pa.string()),
        pa.field("domain", pa.string()),
        pa.field("properties", pa.string()),  # JSON object
    ]
)
"""One row for each thing that happened. An event has a `user_id`, a `visitor_id`, or both."""

ITEMS: Final = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("group_id", pa.string()),  # the parent of a variant
        pa.field("domain", pa.string()),
        pa.field("title", pa.string()),
        pa.field("description", pa.string()),
        pa.field("categories", pa.list_(pa.string())),  # paths such as "Home > Lights"
        pa.field("brand", pa.string()),
        pa.field("price", MONEY),
        pa.field("sale_price", MONEY),
        pa.field("cost", MONEY),
        pa.field("currency", pa.string()),
        pa.field("availability", pa.string()),  # in_stock | out_of_stock | preorder | backorder
        pa.field("stock", pa.int64()),
        pa.field("image", pa.string()),
        pa.field("url", pa.string()),
        pa.field("attributes", pa.string()),  # JSON object
        pa.field("relations", pa.string()),  # JSON object: {"accessory_of": ["id", …]}
        pa.field("created", TIME),
        pa.field("expires", TIME),
    ]
)
"""The catalogue: what the shop sells."""

PATCHES: Final = pa.schema(
    [
        *ITEMS,
        pa.field("given", pa.list_(pa.string()), nullable=False),
        pa.field("line", pa.int64(), nullable=False),  # 1-based, of the batch
        pa.field("payload", pa.string(), nullable=False),
    ]
)
"""Changes of items: `given` names the columns to change, also to null; and what arrived."""

USERS: Final = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("attributes", pa.string()),  # JSON object
        pa.field("consent", pa.string()),
    ]
)

QUARANTINE: Final = pa.schema(
    [
        pa.field("received", TIME, nullable=False),
        pa.field("source", pa.string()),  # file path or API route
        pa.field("line", pa.int64()),  # 1-based line or record number in the source
        pa.field("table", pa.string(), nullable=False),  # events | items | users
        pa.field("reason", pa.string(), nullable=False),  # a stable code: "bad-time"
        pa.field("field", pa.string()),
        pa.field("detail", pa.string(), nullable=False),  # a sentence naming the value
        pa.field("payload", pa.string(), nullable=False),  # what arrived, as it arrived
        pa.field("payload_hash", pa.string(), nullable=False),  # so that a second run adds nothing
    ]
)
"""What failed validation, kept whole with its reason until somebody mends or drops it."""

AVAILABILITIES: Final = ("in_stock", "out_of_stock", "preorder", "backorder")

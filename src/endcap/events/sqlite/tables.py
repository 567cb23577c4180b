"""The tables, as SQLAlchemy Core sees them; what a migrated database must look like.

Times are integer microseconds, money integer ten-thousandths, lists JSON text: each exact, and
each ordered as the value is. `seq` grows with every stored row and is never used again.
"""

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()

EVENT_TABLE: Final = sa.Table(
    "events",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("event_id", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("time", sa.Integer, nullable=False),
    sa.Column("original", sa.Integer),
    sa.Column("sent_at", sa.Integer),
    sa.Column("received", sa.Integer, nullable=False),
    sa.Column("user_id", sa.Text),
    sa.Column("visitor_id", sa.Text),
    sa.Column("session_id", sa.Text),
    sa.Column("item_id", sa.Text),
    sa.Column("variant_id", sa.Text),
    sa.Column("value", sa.Float),
    sa.Column("quantity", sa.Integer),
    sa.Column("price", sa.Integer),
    sa.Column("currency", sa.Text),
    sa.Column("order_id", sa.Text),
    sa.Column("query", sa.Text),
    sa.Column("placement", sa.Text),
    sa.Column("request_id", sa.Text),
    sa.Column("position", sa.Integer),
    sa.Column("propensity", sa.Float),
    sa.Column("consent", sa.Text),
    sa.Column("domain", sa.Text),
    sa.Column("properties", sa.Text),
    sa.Column("actor", sa.Text),
    sa.Index("events_time", "time"),
    sa.Index("events_actor_time", "actor", "time"),
)

ITEM_TABLE: Final = sa.Table(
    "items",
    METADATA,
    sa.Column("item_id", sa.Text, primary_key=True),
    sa.Column("group_id", sa.Text),
    sa.Column("domain", sa.Text),
    sa.Column("title", sa.Text),
    sa.Column("description", sa.Text),
    sa.Column("categories", sa.Text),
    sa.Column("brand", sa.Text),
    sa.Column("price", sa.Integer),
    sa.Column("sale_price", sa.Integer),
    sa.Column("cost", sa.Integer),
    sa.Column("currency", sa.Text),
    sa.Column("availability", sa.Text),
    sa.Column("stock", sa.Integer),
    sa.Column("image", sa.Text),
    sa.Column("url", sa.Text),
    sa.Column("attributes", sa.Text),
    sa.Column("relations", sa.Text),
    sa.Column("created", sa.Integer),
    sa.Column("expires", sa.Integer),
)

USER_TABLE: Final = sa.Table(
    "users",
    METADATA,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("attributes", sa.Text),
    sa.Column("consent", sa.Text),
)

ALIAS_TABLE: Final = sa.Table(
    "aliases",
    METADATA,
    sa.Column("visitor_id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, nullable=False),
)

QUARANTINE_TABLE: Final = sa.Table(
    "quarantine",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("received", sa.Integer, nullable=False),
    sa.Column("source", sa.Text),
    sa.Column("line", sa.Integer),
    sa.Column("table", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("field", sa.Text),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("payload_hash", sa.Text, nullable=False),
    sa.Index("quarantine_reason", "reason"),
)
# Null is unlike null in a unique index, yet a row without a source is still the same row twice.
sa.Index(
    "quarantine_once",
    sa.text("ifnull(source, '')"),
    sa.text("ifnull(line, -1)"),
    QUARANTINE_TABLE.c.payload_hash,
    QUARANTINE_TABLE.c.reason,
    unique=True,
)

ANSWER_TABLE: Final = sa.Table(
    "answers",
    METADATA,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("body_hash", sa.Text, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("answer", sa.LargeBinary, nullable=False),
    sa.Column("created", sa.Integer, nullable=False),
    sa.Index("answers_created", "created"),
)

COUNTER_TABLE: Final = sa.Table(
    "counters",
    METADATA,
    sa.Column("received", sa.Integer, nullable=False),
    sa.Column("stored", sa.Integer, nullable=False),
    sa.Column("duplicate", sa.Integer, nullable=False),
    sa.Column("rejected", sa.Integer, nullable=False),
    sa.Column("quarantined", sa.Integer, nullable=False),
)

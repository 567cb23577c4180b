"""The tables, as SQLAlchemy Core sees them; what a migrated database must look like.

Times are integer microseconds, money integer ten-thousandths, lists JSON text: each exact, and
each ordered as the value is. `seq` grows with every stored row and is never used again.
"""

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()
TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""In the order of its bytes, as SQLite and Arrow have it."""
WHOLE: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

EVENT_TABLE: Final = sa.Table(
    "events",
    METADATA,
    sa.Column("seq", WHOLE, primary_key=True),
    sa.Column("event_id", TEXT, nullable=False, unique=True),
    sa.Column("kind", TEXT, nullable=False),
    sa.Column("time", WHOLE, nullable=False),
    sa.Column("original", WHOLE),
    sa.Column("sent_at", WHOLE),
    sa.Column("received", WHOLE, nullable=False),
    sa.Column("user_id", TEXT),
    sa.Column("visitor_id", TEXT),
    sa.Column("session_id", TEXT),
    sa.Column("item_id", TEXT),
    sa.Column("variant_id", TEXT),
    sa.Column("value", sa.Float),
    sa.Column("quantity", WHOLE),
    sa.Column("price", WHOLE),
    sa.Column("currency", TEXT),
    sa.Column("order_id", TEXT),
    sa.Column("query", TEXT),
    sa.Column("placement", TEXT),
    sa.Column("request_id", TEXT),
    sa.Column("position", WHOLE),
    sa.Column("propensity", sa.Float),
    sa.Column("consent", TEXT),
    sa.Column("domain", TEXT),
    sa.Column("properties", TEXT),
    sa.Column("actor", TEXT),
    sa.Index("events_time", "time").ddl_if(dialect="postgresql"),
    sa.Index("events_actor_time", "actor", "time").ddl_if(dialect="postgresql"),
)
DONE: Final = "kind <> 'impression'"
SHOWN: Final = "kind = 'impression'"
"""The two halves of the log. In SQLite each has indexes of its own: whoever reads what was done
does not walk through the far more that was shown, and a row is in no more indexes for it."""


def _half(name: str, half: str, *columns: str) -> None:
    there = (EVENT_TABLE.c[column] for column in columns)
    sa.Index(name, *there, sqlite_where=sa.text(half)).ddl_if(dialect="sqlite")


_half("events_done", DONE, "time")
_half("events_shown", SHOWN, "time")
_half("events_shown_to", SHOWN, "actor", "time")
# It covers a history, which is read for each slate.
_half("events_deeds", DONE, "actor", "time", "seq", "kind", "item_id", "value")

ITEM_TABLE: Final = sa.Table(
    "items",
    METADATA,
    sa.Column("item_id", TEXT, primary_key=True),
    sa.Column("group_id", TEXT),
    sa.Column("domain", TEXT),
    sa.Column("title", TEXT),
    sa.Column("description", TEXT),
    sa.Column("categories", TEXT),
    sa.Column("brand", TEXT),
    sa.Column("price", WHOLE),
    sa.Column("sale_price", WHOLE),
    sa.Column("cost", WHOLE),
    sa.Column("currency", TEXT),
    sa.Column("availability", TEXT),
    sa.Column("stock", WHOLE),
    sa.Column("image", TEXT),
    sa.Column("url", TEXT),
    sa.Column("attributes", TEXT),
    sa.Column("relations", TEXT),
    sa.Column("created", WHOLE),
    sa.Column("expires", WHOLE),
)

USER_TABLE: Final = sa.Table(
    "users",
    METADATA,
    sa.Column("user_id", TEXT, primary_key=True),
    sa.Column("attributes", TEXT),
    sa.Column("consent", TEXT),
)

ALIAS_TABLE: Final = sa.Table(
    "aliases",
    METADATA,
    sa.Column("visitor_id", TEXT, primary_key=True),
    sa.Column("user_id", TEXT, nullable=False),
    sa.Index("aliases_user", "user_id"),
)

QUARANTINE_TABLE: Final = sa.Table(
    "quarantine",
    METADATA,
    sa.Column("seq", WHOLE, primary_key=True),
    sa.Column("received", WHOLE, nullable=False),
    sa.Column("source", TEXT),
    sa.Column("line", WHOLE),
    sa.Column("table", TEXT, nullable=False),
    sa.Column("reason", TEXT, nullable=False),
    sa.Column("field", TEXT),
    sa.Column("detail", TEXT, nullable=False),
    sa.Column("payload", TEXT, nullable=False),
    sa.Column("payload_hash", TEXT, nullable=False),
    sa.Index("quarantine_reason", "reason"),
)
# Null is unlike null in a unique index, yet a row without a source is still the same row twice.
sa.Index(
    "quarantine_once",
    sa.text("coalesce(source, '')"),
    sa.text("coalesce(line, -1)"),
    QUARANTINE_TABLE.c.payload_hash,
    QUARANTINE_TABLE.c.reason,
    unique=True,
)

ANSWER_TABLE: Final = sa.Table(
    "answers",
    METADATA,
    sa.Column("key", TEXT, primary_key=True),
    sa.Column("body_hash", TEXT, nullable=False),
    sa.Column("status", WHOLE, nullable=False),
    sa.Column("answer", sa.LargeBinary, nullable=False),
    sa.Column("created", WHOLE, nullable=False),
    sa.Index("answers_created", "created"),
)

COUNTER_TABLE: Final = sa.Table(
    "counters",
    METADATA,
    sa.Column("received", WHOLE, nullable=False),
    sa.Column("stored", WHOLE, nullable=False),
    sa.Column("duplicate", WHOLE, nullable=False),
    sa.Column("rejected", WHOLE, nullable=False),
    sa.Column("quarantined", WHOLE, nullable=False),
)

DOCUMENT_TABLE: Final = sa.Table(
    "documents",
    METADATA,
    sa.Column("name", TEXT, primary_key=True),
    sa.Column("version", WHOLE, primary_key=True, autoincrement=False),
    sa.Column("body", TEXT),
    sa.Column("written", WHOLE, nullable=False),
)

SLATE_TABLE: Final = sa.Table(
    "slates",
    METADATA,
    sa.Column("request_id", TEXT, primary_key=True),
    sa.Column("time", WHOLE, nullable=False),
    sa.Column("actor", TEXT),
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.Index("slates_time", "time"),
    sa.Index("slates_actor", "actor"),
)

PARCEL_TABLE: Final = sa.Table(
    "parcels",
    METADATA,
    sa.Column("name", TEXT, primary_key=True),
    sa.Column("part", WHOLE, primary_key=True, autoincrement=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
)

CHANGE_TABLE: Final = sa.Table(
    "item_changes",
    METADATA,
    sa.Column("seq", WHOLE, primary_key=True),
    sa.Column("changed", WHOLE, nullable=False),
    sa.Column("was", WHOLE, nullable=False),
    *(sa.Column(column.name, column.type) for column in ITEM_TABLE.columns),
    sa.Index("item_changes_changed", "changed"),
    sqlite_autoincrement=True,
)
"""Filled by triggers: an item as it was before a change; `was` is 0 where it was not there."""

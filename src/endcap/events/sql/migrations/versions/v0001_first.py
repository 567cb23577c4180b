"""First schema: events, catalogue, quarantine, aliases, remembered answers, counters."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table."""
    _events()
    _catalogue()
    _quarantine()
    _answers()
    _counters()


def downgrade() -> None:
    """Drop every table: there is nothing before the first schema."""
    for table in ("counters", "answers", "quarantine", "aliases", "users", "items", "events"):
        op.drop_table(table)


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("seq", WHOLE, primary_key=True),
        sa.Column("event_id", TEXT, nullable=False, unique=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("time", WHOLE, nullable=False),
        *_integers("original", "sent_at"),
        sa.Column("received", WHOLE, nullable=False),
        *_texts("user_id", "visitor_id", "session_id", "item_id", "variant_id"),
        sa.Column("value", sa.Float),
        *_integers("quantity", "price"),
        *_texts("currency", "order_id", "query", "placement", "request_id"),
        sa.Column("position", WHOLE),
        sa.Column("propensity", sa.Float),
        *_texts("consent", "domain", "properties", "actor"),
    )
    op.create_index("events_time", "events", ["time"])
    op.create_index("events_actor_time", "events", ["actor", "time"])


def _catalogue() -> None:
    op.create_table(
        "items",
        sa.Column("item_id", TEXT, primary_key=True),
        *_texts("group_id", "domain", "title", "description", "categories", "brand"),
        *_integers("price", "sale_price", "cost"),
        *_texts("currency", "availability"),
        *_integers("stock"),
        *_texts("image", "url", "attributes", "relations"),
        *_integers("created", "expires"),
    )
    op.create_table(
        "users", sa.Column("user_id", TEXT, primary_key=True), *_texts("attributes", "consent")
    )
    op.create_table(
        "aliases",
        sa.Column("visitor_id", TEXT, primary_key=True),
        sa.Column("user_id", TEXT, nullable=False),
    )


def _quarantine() -> None:
    op.create_table(
        "quarantine",
        sa.Column("seq", WHOLE, primary_key=True),
        sa.Column("received", WHOLE, nullable=False),
        sa.Column("source", TEXT),
        sa.Column("line", WHOLE),
        sa.Column("table", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("field", TEXT),
        *(sa.Column(n, TEXT, nullable=False) for n in ("detail", "payload", "payload_hash")),
    )
    op.create_index("quarantine_reason", "quarantine", ["reason"])
    identity = [sa.text("coalesce(source, '')"), sa.text("coalesce(line, -1)")]
    op.create_index(
        "quarantine_once", "quarantine", [*identity, "payload_hash", "reason"], unique=True
    )


def _answers() -> None:
    op.create_table(
        "answers",
        sa.Column("key", TEXT, primary_key=True),
        sa.Column("body_hash", TEXT, nullable=False),
        sa.Column("status", WHOLE, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("created", WHOLE, nullable=False),
    )
    op.create_index("answers_created", "answers", ["created"])


def _counters() -> None:
    names = ("received", "stored", "duplicate", "rejected", "quarantined")
    op.create_table("counters", *(sa.Column(n, WHOLE, nullable=False) for n in names))
    op.execute("INSERT INTO counters VALUES (0, 0, 0, 0, 0)")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, TEXT) for name in names]


def _integers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, WHOLE) for name in names]

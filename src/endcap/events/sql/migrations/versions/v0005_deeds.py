"""Deeds: what an actor did, apart from the far more that they were shown (SQLite)."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the index; a server of PostgreSQL reads a history in one round trip either way."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE INDEX events_deeds ON events (actor, time, seq, kind, item_id, value) "
            "WHERE kind <> 'impression'"
        )


def downgrade() -> None:
    """Drop the index."""
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index("events_deeds")

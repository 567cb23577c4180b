"""Two halves of the log, what was done and what was shown, with indexes of their own (SQLite)."""

from alembic import op

revision = "0006"
down_revision = "0005"

WHOLE = {"events_time": "time", "events_actor_time": "actor, time"}
HALVES = {
    "events_done": "(time) WHERE kind <> 'impression'",
    "events_shown": "(time) WHERE kind = 'impression'",
    "events_shown_to": "(actor, time) WHERE kind = 'impression'",
}


def upgrade() -> None:
    """Replace the indexes; a server of PostgreSQL plans scans by itself."""
    if op.get_bind().dialect.name == "sqlite":
        for name, half in HALVES.items():
            op.execute(f"CREATE INDEX {name} ON events {half}")
        for name in WHOLE:
            op.execute(f"DROP INDEX {name}")


def downgrade() -> None:
    """Put the indexes of the whole log back."""
    if op.get_bind().dialect.name == "sqlite":
        for name, columns in WHOLE.items():
            op.execute(f"CREATE INDEX {name} ON events ({columns})")
        for name in HALVES:
            op.execute(f"DROP INDEX {name}")

"""Aliases by user: which visitors a user is."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the index."""
    op.create_index("aliases_user", "aliases", ["user_id"])


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("aliases_user", "aliases")

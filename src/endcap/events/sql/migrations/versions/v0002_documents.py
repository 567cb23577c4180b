"""Documents: small texts with their history."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "documents",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("version", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("body", TEXT),
        sa.Column("written", WHOLE, nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("documents")

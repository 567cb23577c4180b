"""Slates as they were answered, and what the catalogue was before each change."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXTS = ("group_id", "domain", "title", "description", "categories", "brand")
MONEY = ("price", "sale_price", "cost")
COLUMNS = (
    *("item_id", *TEXTS, *MONEY, "currency", "availability", "stock"),
    *("image", "url", "attributes", "relations", "created", "expires"),
)
WHOLES = {*MONEY, "stock", "created", "expires"}
NOW = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
    "postgresql": "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
}
HAPPENS = ("INSERT", "UPDATE", "DELETE")


def upgrade() -> None:
    """Create the tables, and the triggers that fill the second."""
    op.create_table(
        "slates",
        sa.Column("request_id", TEXT, primary_key=True),
        sa.Column("time", WHOLE, nullable=False),
        sa.Column("actor", TEXT),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_index("slates_time", "slates", ["time"])
    op.create_index("slates_actor", "slates", ["actor"])
    op.create_table(
        "item_changes",
        sa.Column("seq", WHOLE, primary_key=True),
        sa.Column("changed", WHOLE, nullable=False),
        sa.Column("was", WHOLE, nullable=False),
        *(sa.Column(name, WHOLE if name in WHOLES else TEXT) for name in COLUMNS),
        sqlite_autoincrement=True,
    )
    op.create_index("item_changes_changed", "item_changes", ["changed"])
    dialect = op.get_bind().dialect.name
    for event in HAPPENS:
        for statement in _trigger(dialect, event):
            op.execute(sa.text(statement.replace(":", r"\:")))


def downgrade() -> None:
    """Drop the triggers and the tables."""
    dialect = op.get_bind().dialect.name
    for event in HAPPENS:
        name = f"items_{event.lower()}"
        on = " ON items" if dialect == "postgresql" else ""
        op.execute(f"DROP TRIGGER {name}{on}")
        if dialect == "postgresql":
            op.execute(f"DROP FUNCTION {name}_kept")
    op.drop_table("item_changes")
    op.drop_table("slates")


def _trigger(dialect: str, event: str) -> list[str]:
    """Return what keeps an item as it was: of a new one, that it was not there."""
    names: tuple[str, ...] = ("item_id",)
    values = "NEW.item_id"
    if event != "INSERT":
        names, values = COLUMNS, ", ".join(f"OLD.{column}" for column in COLUMNS)
    was = int(event != "INSERT")
    keep = (
        f"INSERT INTO item_changes (changed, was, {', '.join(names)}) "
        f"VALUES ({NOW[dialect]}, {was}, {values})"
    )
    name = f"items_{event.lower()}"
    when = f"CREATE TRIGGER {name} AFTER {event} ON items"
    if dialect == "sqlite":
        return [f"{when} BEGIN {keep}; END"]
    return [
        f"CREATE FUNCTION {name}_kept() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {keep}; RETURN NULL; END $$",
        f"{when} FOR EACH ROW EXECUTE FUNCTION {name}_kept()",
    ]

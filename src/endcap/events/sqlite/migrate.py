"""Bring a database file to the schema of this version, whole or not at all."""

import sqlite3
from pathlib import Path
from typing import Final

from endcap.events.sqlite import engine
from endcap.schema.errors import StoreError

REVISIONS: Final = ("0001",)
"""Every revision this version knows, oldest first (a test compares them with the scripts)."""


def upgrade(path: Path, busy_seconds: float = engine.BUSY_SECONDS) -> None:
    """Create or upgrade the database; a process killed half-way leaves what was there before.

    The caller holds the write turn, so that two processes opening at once do not both migrate.

    Raises
    ------
    StoreError
        When the file is of a newer version, no database at all, or cannot be written. It is left
        as it was.
    """
    revision = _revision(path, busy_seconds)
    if revision == REVISIONS[-1]:
        return
    if revision and revision not in REVISIONS:
        raise StoreError(
            f"{path} has schema {revision!r}, newer than this version of Endcap knows "
            f"({REVISIONS[-1]!r}).",
            hint="Install the version that wrote it; nothing was changed.",
        )
    _run_alembic(path, busy_seconds)


def _revision(path: Path, busy_seconds: float) -> str:
    if not path.exists():
        return ""
    connection = sqlite3.connect(path, timeout=busy_seconds)
    try:
        named = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")
        if not named.fetchone():
            return ""
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0]) if row else ""
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} is no readable SQLite database ({error}).") from error
    finally:
        connection.close()


def _run_alembic(path: Path, busy_seconds: float) -> None:
    """Run all missing steps and their bookkeeping in one transaction.

    Imported here, because nearly every start finds the schema current and needs none of it.
    """
    import sqlalchemy as sa
    from alembic import command
    from alembic.config import Config

    connection = engine.connect(path, busy_seconds=busy_seconds)
    gate = sa.create_engine("sqlite://", creator=lambda: connection, poolclass=sa.StaticPool)
    # The driver would commit before each DDL statement by itself; our own BEGIN keeps it whole.
    sa.event.listen(gate, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
    config = Config()
    config.set_main_option("script_location", "endcap.events.sqlite:migrations")
    try:
        engine.make_wal(connection, path)
        with gate.begin() as bound:
            config.attributes["connection"] = bound
            command.upgrade(config, "head")
    except (sqlite3.Error, sa.exc.DBAPIError) as error:
        raise StoreError(f"{path} cannot be brought to the current schema: {error}.") from error
    finally:
        gate.dispose()
        connection.close()

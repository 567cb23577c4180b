"""Bring a database file to the schema of this version, whole or not at all."""

import sqlite3
from pathlib import Path

from endcap.events.sql import migrate
from endcap.events.sqlite import engine
from endcap.schema.errors import StoreError


def upgrade(path: Path, busy_seconds: float = engine.BUSY_SECONDS) -> None:
    """Create or upgrade the database; a process killed half-way leaves what was there before.

    The caller holds the write turn, so that two processes opening at once do not both migrate.

    Raises
    ------
    StoreError
        When the file is of a newer version, no database at all, or cannot be written. It is left
        as it was.
    """
    if not migrate.is_current(_revision(path, busy_seconds), path):
        _migrate(path, busy_seconds)


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


def _migrate(path: Path, busy_seconds: float) -> None:
    import sqlalchemy as sa

    connection = engine.connect(path, busy_seconds=busy_seconds)
    gate = sa.create_engine("sqlite://", creator=lambda: connection, poolclass=sa.StaticPool)
    # The driver would commit before each DDL statement by itself; our own BEGIN keeps it whole.
    sa.event.listen(gate, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        engine.make_wal(connection, path)
        with gate.begin() as bound:
            migrate.run(bound)
    except (sqlite3.Error, sa.exc.DBAPIError) as error:
        raise StoreError(f"{path} cannot be brought to the current schema: {error}.") from error
    finally:
        gate.dispose()
        connection.close()

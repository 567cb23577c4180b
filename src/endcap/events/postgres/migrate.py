"""Bring the tables to the schema of this version, whole or not at all."""

import psycopg

from endcap.events.postgres.engine import Session
from endcap.events.sql import migrate
from endcap.schema.errors import StoreError


def upgrade(session: Session, pen: str, name: str) -> None:
    """Create or upgrade the tables in one transaction, while nobody else writes.

    Parameters
    ----------
    pen
        The statement that takes the pen.

    Raises
    ------
    StoreError
        When they are of a newer version, or may not be made. They are left as they were.
    """
    import sqlalchemy as sa

    connection = session.connection
    gate = sa.create_engine(
        "postgresql+psycopg://", creator=lambda: connection, poolclass=sa.StaticPool
    )
    try:
        if migrate.is_current(_revision(session), name):
            return
        connection.autocommit = False
        with gate.begin() as bound:
            bound.exec_driver_sql(pen)
            if not migrate.is_current(_revision(session), name):  # another process was quicker
                migrate.run(bound)
    except (psycopg.Error, sa.exc.DBAPIError) as error:
        raise StoreError(f"{name} cannot be brought to the current schema: {error}.") from error
    finally:
        connection.rollback()
        connection.autocommit = True


def _revision(session: Session) -> str:
    found = session.execute("SELECT to_regclass('alembic_version')").fetchone()
    if found == (None,):
        return ""
    row = session.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else ""

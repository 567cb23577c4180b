"""Bring a database to the schema of this version, whole or not at all."""

from typing import TYPE_CHECKING, Final

from endcap.schema.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
"""Every revision this version knows, oldest first (a test compares them with the scripts)."""
SCRIPTS: Final = "endcap.events.sql:migrations"


def is_current(revision: str, place: object) -> bool:
    """Return whether a database of this revision (empty: none) needs nothing.

    Raises
    ------
    StoreError
        When it is of a newer version.
    """
    if revision and revision not in REVISIONS:
        raise StoreError(
            f"{place} has schema {revision!r}, newer than this version of Endcap knows "
            f"({REVISIONS[-1]!r}).",
            hint="Install the version that wrote it; nothing was changed.",
        )
    return revision == REVISIONS[-1]


def run(connection: "Connection") -> None:
    """Run all missing steps and their bookkeeping in the current transaction.

    Alembic is imported here, because nearly every start finds the schema current and needs none.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

"""The store on a PostgreSQL server, for several replicas and tens of millions of events."""

from endcap.events.postgres.store import PostgresStore
from endcap.schema.settings import StoreSettings

__all__ = ["PostgresStore", "open_store"]


def open_store(settings: StoreSettings) -> PostgresStore:
    """Open, create or upgrade the store at ``settings.url``: ``postgresql://user@host/database``.

    The tables are made in the first schema of the search path.
    """
    return PostgresStore(settings)

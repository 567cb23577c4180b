"""The embedded store on SQLite."""

from endcap.events.sqlite.store import SQLiteStore
from endcap.schema.settings import StoreSettings

__all__ = ["SQLiteStore", "open_store"]


def open_store(settings: StoreSettings) -> SQLiteStore:
    """Open, create or upgrade the store in ``settings.folder``.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> store = open_store(StoreSettings(folder=folder))
    >>> store.log.count(), store.healthy()
    (0, (True, ''))
    >>> store.close()
    """
    return SQLiteStore(settings)

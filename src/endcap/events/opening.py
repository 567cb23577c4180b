"""Open the store that the settings name."""

from urllib.parse import urlsplit

from endcap import plugins
from endcap.events.store import Store
from endcap.schema.settings import StoreSettings


def open_store(settings: StoreSettings) -> Store:
    """Return the store at ``settings.url``, or the embedded one in ``settings.folder``.

    Raises
    ------
    PluginError
        When no installed store takes URLs of that scheme.
    """
    scheme = urlsplit(settings.url).scheme.partition("+")[0] or "sqlite"
    store: Store = plugins.load("endcap.stores", scheme)(settings)
    return store

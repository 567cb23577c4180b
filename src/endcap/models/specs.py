"""Models by name: from a recipe or a flag to a `Spec`."""

from collections.abc import Mapping
from typing import Any

from endcap import plugins
from endcap.models.base import Spec

GROUP = "endcap.models"


def make(name: str, settings: Mapping[str, Any] | None = None) -> Spec:
    """Return the spec registered as `name` with the given settings.

    Raises
    ------
    PluginError
        When no model has that name; the nearest is named.
    ConfigError
        When a setting is unknown or impossible; the nearest is named.
    """
    kind: type[Spec] = plugins.load(GROUP, name)
    return kind.parse(settings or {}, where=f"model {name!r}")

"""Find components by name through entry points; nothing is imported before it is used."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from endcap.schema.errors import PluginError, nearest

GROUPS: Final = ("endcap.models", "endcap.dialects", "endcap.stores", "endcap.buses")


@cache
def _found(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def names(group: str) -> list[str]:
    """Return the sorted names registered in `group`."""
    return sorted(_found(group))


def modules(group: str) -> set[str]:
    """Return the names of the modules that the plug-ins of `group` live in; imports none."""
    return {point.module for point in _found(group).values()}


def load(group: str, name: str) -> Any:
    """Return the object registered as `name` in `group`.

    Raises
    ------
    PluginError
        When there is none of that name (with the nearest), or its own imports fail.
    """
    point = _found(group).get(name)
    if point is None:
        kind = group.removeprefix("endcap.").removesuffix("s")
        raise PluginError(f"There is no {kind} named {name!r}.", hint=nearest(name, _found(group)))
    try:
        return point.load()
    except ImportError as error:
        raise PluginError(
            f"{name!r} ({point.value}) cannot be loaded: {error}.",
            hint="An extra may be missing: pip install 'endcap[deep]' and the like.",
        ) from error

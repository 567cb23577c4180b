"""Who takes part in a comparison, from what a person writes."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from endcap import plugins
from endcap.models import specs
from endcap.models.base import Spec
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import ConfigError, PluginError

NEEDS_RATINGS = frozenset({"biased-mf", "fm"})
NEEDS_TEXT = frozenset({"content"})


def named(entrants: Sequence[str]) -> dict[str, Spec]:
    """Return specs for entrants such as ``"ease"`` or ``"ease:l2=300,decay_events=30"``.

    Each stands under what was written, so that one model can compete in several settings.

    Raises
    ------
    ConfigError, PluginError
        When a setting or a model is unknown; the nearest is named.
    """
    return {entrant: _one(entrant) for entrant in entrants}


def every(data: Dataset) -> dict[str, Spec]:
    """Return all registered models, in default settings, that `data` can feed.

    Models of ratings need ratings, models of texts need titles; one whose extra is not installed
    is left out.
    """
    rated = bool(np.isfinite(data.column("value")).any())
    titled = data.item_table["title"].null_count < data.item_table.num_rows
    left_out = (frozenset() if rated else NEEDS_RATINGS) | (frozenset() if titled else NEEDS_TEXT)
    found: dict[str, Spec] = {}
    for name in plugins.names(specs.GROUP):
        if name not in left_out:
            try:
                found[name] = specs.make(name)
            except PluginError:
                continue
    return found


def _one(entrant: str) -> Spec:
    name, _, rest = entrant.partition(":")
    settings: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise ConfigError(f"{part!r} in {entrant!r} is no setting.", hint="Write key=value.")
        settings[key.strip()] = _value(value.strip())
    return specs.make(name.strip(), settings)


def _value(text: str) -> Any:
    """Numbers, true and false as in JSON; everything else is text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text

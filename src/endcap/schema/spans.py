"""Spans of time as people write them."""

import re
from typing import Final

from endcap.schema.errors import ConfigError

UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """Return the seconds that a span such as ``"90s"``, ``"10m"``, ``"1.5h"`` or ``"45"`` lasts.

    Raises
    ------
    ConfigError
        When it is no span, or none above 0.

    Examples
    --------
    >>> seconds("10m")
    600.0
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", text.lower())
    value = float(found[1]) * UNITS[found[2] or "s"] if found else 0.0
    if value <= 0:
        raise ConfigError(f"{text!r} is no span of time.", hint="Write 90s, 10m or 1h.")
    return value

"""Where somebody or something is, in degrees."""

from math import isfinite, nan
from typing import Any, Final, NamedTuple

import msgspec

COORDINATES: Final = ("lat", "lon")
"""The attributes of items and of users that say where they are."""


class Spot(NamedTuple):
    """A place: degrees north and east, NaN where unknown."""

    lat: float = nan
    lon: float = nan


NOWHERE: Final = Spot()


def degrees(value: Any) -> float:
    """Return an attribute as a number, a text of one (CSV knows no other) as well; else NaN.

    Examples
    --------
    >>> degrees("48.8566"), degrees(2), degrees("north"), degrees(True)
    (48.8566, 2.0, nan, nan)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return nan
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return nan
    return number if isfinite(number) else nan


def spot_of(attributes: str | None) -> Spot:
    """Return the place that attributes, a JSON object, name."""
    told = msgspec.json.decode(attributes) if attributes else {}
    return Spot(*(degrees(told.get(name)) for name in COORDINATES))

"""Times as shops write them, into microseconds since 1970 (UTC).

ISO 8601 with or without zone (without: UTC), epoch seconds, milliseconds, microseconds and
nanoseconds told apart by their size, and dates written as eight digits.
"""

import math
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from endcap.events.validate.faults import Refused, show

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""

_UNITS: Final = ((10**11, 1_000_000, 1), (10**14, 1000, 1), (10**17, 1, 1), (10**20, 1, 1000))
_NUMBER: Final = re.compile(r"[+-]?\d{1,25}(\.\d{0,12})?\Z", re.ASCII)
_DATE_DIGITS: Final = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\Z", re.ASCII)
_LEAP: Final = re.compile(r"(\d\d:59):60(?!\d)", re.ASCII)


def micros(moment: datetime) -> int:
    """Return exact microseconds since 1970; a moment without zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def moment(us: int) -> datetime:
    """Return the UTC datetime of `us` microseconds since 1970."""
    return EPOCH + timedelta(microseconds=us)


def parse_time(value: object) -> int | None:
    """Return microseconds since 1970, or None for an empty cell.

    Raises
    ------
    Refused
        ``bad-time`` when it cannot be read or lies before 1970; ``wrong-type`` for a list or flag.
    """
    if value is None:
        return None
    kind = type(value)
    if kind is str:
        us = _from_text(value)  # type: ignore[arg-type]
    elif kind is int:
        us = _from_int(value)  # type: ignore[arg-type]
    else:
        us = _from_other(value)
    if us is not None and not 0 <= us <= LATEST:
        raise Refused("bad-time", f"{show(value)} is not between 1970 and 9999.")
    return us


def _from_text(text: str) -> int | None:
    if len(text) > 9 and text[4] == "-":
        try:
            return micros(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            return _from_odd_text(text.strip())
    return _from_odd_text(text.strip())


def _from_odd_text(text: str) -> int | None:
    """Read what `datetime.fromisoformat` cannot."""
    if not text:
        return None
    if _DATE_DIGITS.match(text):
        return _iso(f"{text[:4]}-{text[4:6]}-{text[6:]}", text)
    if _NUMBER.match(text):
        whole, _, fraction = text.partition(".")
        return _from_number(Decimal(text)) if fraction else _from_int(int(whole))
    plain = text.replace("/", "-", 2) if text[4:5] == "/" else text
    plain = plain.removesuffix(" UTC").removesuffix(" GMT")
    leap = _LEAP.search(plain)
    if leap:  # a leap second is the instant that the next minute begins with
        us = _iso(plain.replace(leap.group(), f"{leap.group(1)}:59", 1), text)
        return us + 1_000_000
    return _iso(plain, text)


def _iso(text: str, given: str) -> int:
    try:
        return micros(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise Refused("bad-time", f"{show(given)} is no time that exists.") from error


def _from_int(number: int) -> int:
    size = abs(number)
    if 19_000_101 <= size <= 20_991_231 and _DATE_DIGITS.match(str(number)):
        return _iso(f"{str(number)[:4]}-{str(number)[4:6]}-{str(number)[6:]}", str(number))
    for limit, times, over in _UNITS:
        if size < limit:
            return number * times // over
    raise Refused("bad-time", f"{show(number)} is too large for an epoch time.")


def _from_number(number: Decimal) -> int:
    for limit, times, over in _UNITS:
        if abs(number) < limit:
            return round(number * times / over)
    raise Refused("bad-time", f"{show(number)} is too large for an epoch time.")


def _from_other(value: object) -> int | None:
    if isinstance(value, bool):
        raise Refused("wrong-type", f"{show(value)} is no time.")
    if isinstance(value, int):
        return _from_int(int(value))
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            raise Refused("bad-time", f"{show(value)} is no time.")
        return _from_number(value if isinstance(value, Decimal) else Decimal(repr(value)))
    if isinstance(value, datetime):
        return micros(value)
    if isinstance(value, date):
        return micros(datetime(value.year, value.month, value.day, tzinfo=UTC))
    raise Refused("wrong-type", f"{show(value)} is no time.")

"""The parsers of single cells: loose in what they take, exact in what they give.

Each takes anything and returns the typed value, None for an empty cell, or raises `Refused`.
"""

import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from endcap.events.validate.faults import Refused, show
from endcap.schema.errors import nearest
from endcap.schema.tables import AVAILABILITIES

Parse = Callable[[Any], Any]

MAX_ID: Final = 256
MAX_TEXT: Final = 32_768
MAX_QUANTITY: Final = 1_000_000
_MONEY_STEP: Final = Decimal("0.0001")
_MONEY_LIMIT: Final = Decimal(10) ** 14
_BAD_TEXT: Final = re.compile("[\x00\ud800-\udfff]")
_CURRENCY: Final = re.compile(r"[A-Za-z]{3}\Z")
_DECIMAL: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?\Z", re.ASCII)

NOBODY: Final = frozenset(
    {"null", "none", "nil", "nan", "undefined", "[object object]", "(not set)"}
)
"""What programs write where an id was missing, in lower case: refused wherever an id is needed."""
NO_PERSON: Final = NOBODY | {
    *("anonymous", "guest", "unknown", "distinct_id", "distinctid", "not_authenticated"),
    *("true", "false", "00000000-0000-0000-0000-000000000000"),
}
"""Ids under which thousands of strangers would become one giant user."""
NO_LIVE_PERSON: Final = NO_PERSON | {"0"}
"""From a browser "0" is an accident; in imported files it is the first user of many data sets."""


@dataclass(frozen=True, slots=True)
class Text:
    """The parser of a text of at most `limit` characters; scalars become text."""

    limit: int

    def __call__(self, value: Any) -> str | None:
        """Return the text, or raise `Refused`."""
        if value is None:
            return None
        if type(value) is not str:
            value = _scalar(value)
        if not value or value.isspace():
            return None
        if len(value) > self.limit:
            size = len(value)
            raise Refused("too-long", f"{show(value)} has {size} characters, limit {self.limit}.")
        if "\0" in value or not (value.isascii() or _BAD_TEXT.search(value) is None):
            raise Refused("bad-text", f"{show(value)} holds NUL or half a character.")
        result: str = value
        return result

    def keeps(self, values: Collection[str]) -> bool:
        """Return whether this gives each of some texts back as it is; False where in doubt.

        A few passes without a line of Python: asking each by itself takes five times as long.
        """
        if "" in values or any(map(str.isspace, values)) or max(map(len, values)) > self.limit:
            return False
        whole = "".join(values)
        return "\0" not in whole and (whole.isascii() or _BAD_TEXT.search(whole) is None)


@dataclass(frozen=True, slots=True)
class Id:
    """The parser of an id: text or a whole number, and no placeholder."""

    placeholders: frozenset[str] = NOBODY
    plain: Text = field(default=Text(MAX_ID), init=False)

    def __call__(self, value: Any) -> str | None:
        """Return the id, or raise `Refused`."""
        if type(value) is not str and isinstance(value, bool):
            raise Refused("wrong-type", f"{show(value)} is no id.")
        result = self.plain(value)
        if result is not None and result.strip().lower() in self.placeholders:
            raise Refused("placeholder-id", f"{show(result)} is a placeholder, not an id.")
        return result

    def keeps(self, values: Collection[str]) -> bool:
        """See `Text.keeps`."""
        folded = map(str.lower, map(str.strip, values))
        return self.plain.keeps(values) and self.placeholders.isdisjoint(folded)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if value.bit_length() > 800:
            raise Refused("too-long", f"{show(value)} is longer than {MAX_ID} digits.")
        return str(int(value))
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # pandas turns whole-number ids into floats
    if isinstance(value, float) and math.isnan(value):
        return ""  # pandas and Parquet write a missing text as NaN
    if isinstance(value, str):
        return str(value)
    raise Refused("wrong-type", f"{show(value)} is no text.")


def kind(known: Collection[str]) -> Parse:
    """Return the parser of an event kind."""
    plain = Text(MAX_ID)

    def parse(value: Any) -> str:
        name: str | None = plain(value)
        if name is None:
            raise Refused("missing-kind", "The event does not say what happened (kind).")
        name = name.strip().lower()
        if name not in known:
            raise Refused("unknown-kind", f"{show(name)} is no kind. {nearest(name, known)}")
        return name

    return parse


def number(value: Any) -> float | None:
    """Return a finite float."""
    exact = decimal(value)
    result = None if exact is None else float(exact)
    if result is not None and not math.isfinite(result):
        raise Refused("bad-number", f"{show(value)} is out of range.")
    return None if result is None else result + 0.0  # -0.0 becomes 0.0


def decimal(value: Any) -> Decimal | None:
    """Return the exact finite decimal of a number or a text."""
    if value is None:
        return None
    if isinstance(value, str):
        return _decimal_of_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Refused("wrong-type", f"{show(value)} is no number.")
    if isinstance(value, int):
        if value.bit_length() > 1024:
            raise Refused("bad-number", f"{show(value)} is out of range.")
        return Decimal(value)
    result = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    if not result.is_finite():
        raise Refused("not-finite", f"{show(value)} is not a finite number.")
    return result


def _decimal_of_text(value: str) -> Decimal | None:
    if not value:
        return None
    if len(value) < 400 and _DECIMAL.match(value):
        return Decimal(value)
    if value.lower().lstrip("+-") in {"nan", "inf", "infinity"}:
        raise Refused("not-finite", f"{show(value)} is not a finite number.")
    raise Refused("bad-number", f"{show(value)} is no number.")


def money(value: Any) -> Decimal | None:
    """Return an amount that is not negative, to four decimal places (half to even)."""
    amount = decimal(value)
    if amount is None:
        return None
    if amount < 0:
        raise Refused("negative-price", f"{show(value)} is below zero.")
    if amount >= _MONEY_LIMIT:
        raise Refused("bad-number", f"{show(value)} is too large for an amount of money.")
    try:
        return abs(amount.quantize(_MONEY_STEP))  # abs: a price of -0 is 0
    except InvalidOperation as error:
        raise Refused("bad-number", f"{show(value)} is no amount of money.") from error


def whole(low: int, high: int, reason: str = "bad-number") -> Parse:
    """Return the parser of a whole number in ``[low, high]``."""

    def parse(value: Any) -> int | None:
        exact = decimal(value)
        if exact is None:
            return None
        if not low <= exact <= high or exact != exact.to_integral_value():
            raise Refused(reason, f"{show(value)} is no whole number from {low} to {high}.")
        return int(exact)

    return parse


def propensity(value: Any) -> float | None:
    """Return a probability above 0 and up to 1."""
    result = number(value)
    if result is not None and not 0 < result <= 1:
        raise Refused("bad-number", f"{show(value)} is no probability above 0 and up to 1.")
    return result


def currency(value: Any) -> str | None:
    """Return a three-letter code in capitals."""
    code: str | None = Text(MAX_ID)(value)
    if code is None:
        return None
    if not _CURRENCY.match(code.strip()):
        raise Refused("bad-currency", f"{show(value)} is no three-letter currency code.")
    return code.strip().upper()


def availability(value: Any) -> str | None:
    """Return one of `AVAILABILITIES`."""
    given: str | None = Text(MAX_ID)(value)
    if given is None:
        return None
    name = given.strip().lower().replace(" ", "_").replace("-", "_")
    if name not in AVAILABILITIES:
        raise Refused("bad-availability", f"{show(value)}: {nearest(name, AVAILABILITIES)}")
    return name


def json_object(value: Any) -> dict[str, Any] | None:
    """Return a JSON object given as a mapping or as text."""
    if isinstance(value, str):
        if not value.strip():
            return None
        try:
            value = msgspec.json.decode(value)
        except (ValueError, RecursionError) as error:
            raise Refused("bad-json", f"{show(value)} is no JSON: {error}.") from error
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Refused("wrong-type", f"{show(value)} is no JSON object.")
    return value or None


def json_text(value: Any) -> str | None:
    """Return the canonical text (sorted keys) of a JSON object, at most 32 KB."""
    tree = json_object(value)
    if tree is None:
        return None
    try:
        result = msgspec.json.encode(tree, order="sorted").decode()
    except UnicodeEncodeError as error:
        raise Refused("bad-text", "The properties hold half a character.") from error
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise Refused("wrong-type", f"{show(value)} cannot be written as JSON.") from error
    if len(result) > MAX_TEXT:
        raise Refused("too-large", f"{len(result)} characters of JSON, limit {MAX_TEXT}.")
    return result

"""What can be wrong with a row: stable codes, and how a cell says no."""

from typing import Final, NamedTuple

REASONS: Final[dict[str, str]] = {
    "missing-id": "a row of the catalogue or of the users has no id",
    "missing-name": "a target of a relation is an object without a name",
    "missing-actor": "neither user_id nor visitor_id says who acted",
    "missing-item": "an event of this kind needs an item_id",
    "missing-kind": "the event does not say what happened",
    "missing-time": "the event does not say when it happened",
    "missing-value": "an event of this kind needs a value",
    "placeholder-id": "the id is a programming accident such as 'null' or 'undefined'",
    "unknown-kind": "the kind is neither built in nor in the settings",
    "bad-time": "the time cannot be read, or lies before 1970",
    "future-time": "the time lies further in the future than settings allow",
    "too-old": "a live event older than settings allow",
    "wrong-type": "the value has another type than the field",
    "not-finite": "NaN or infinity where a number is needed",
    "bad-number": "the number cannot be read or is out of range",
    "bad-quantity": "a quantity below 1 or above a million",
    "negative-price": "a price below zero",
    "bad-currency": "no three-letter currency code",
    "bad-availability": "no known availability",
    "bad-url": "an address that is neither http nor https",
    "bad-json": "text that should be JSON is not",
    "bad-avro": "bytes that should be Avro of the schema are not",
    "too-many-tries": "a message that brought its handling down, again and again",
    "bad-text": "NUL or half a character (a lone surrogate) in a text",
    "too-long": "a text longer than its field allows",
    "too-large": "more than 32 KB of properties",
    "bad-encoding": "bytes that are no text in the encoding of the file",
    "bad-csv": "quotes that do not follow the rules of CSV",
    "open-quote": "a quote that is never closed",
    "wrong-columns": "more or fewer cells than the header has columns",
    "line-too-long": "a line or record of more than 1 MB",
    "bad-record": "a record of a form that the dialect does not know",
    "bad-xml": "a record that is no well-formed XML, or a file with a DTD",
    "truncated": "the file ends in the middle",
    "damaged": "the file is damaged here; what came before was read",
    "bomb": "a compressed file that grows more than a hundredfold",
}
"""Every reason code and what it means."""


class Fault(NamedTuple):
    """Why a row cannot be taken.

    Attributes
    ----------
    reason
        A key of `REASONS`.
    detail
        One sentence for people, naming the value.
    field
        The field at fault; empty when it is the whole row.
    """

    reason: str
    detail: str
    field: str = ""


class Refused(ValueError):
    """Raised by the parser of a cell; carries the reason code and the sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def show(value: object, limit: int = 60) -> str:
    """Return `value` as it can stand in a sentence: quoted, cut, always printable."""
    if isinstance(value, int) and value.bit_length() > 512:
        return f"an integer of {value.bit_length()} bits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = f"<{type(value).__name__}>"
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= limit else f"{text[:limit]}…"

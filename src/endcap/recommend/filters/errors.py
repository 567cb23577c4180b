"""What can be wrong with an expression, said at the character where it is wrong."""

from typing import ClassVar

from endcap.schema.errors import RequestError

SHOWN = 72
"""Characters of a long expression that are shown around the fault."""


class FilterError(RequestError):
    """An expression that cannot be understood, or does not fit the catalogue.

    Attributes
    ----------
    at
        Where in the text, from 0.

    Stability: caller.
    """

    code: ClassVar[str] = "bad-filter"

    def __init__(self, said: str, text: str, at: int, *, hint: str = "") -> None:
        super().__init__(f"{said}, at character {at + 1}:\n{_pointed(text, at)}\n", hint=hint)
        self.at = at


class TooExpensiveError(FilterError):
    """An expression beyond the limits on length, depth, terms, lists or work."""

    code: ClassVar[str] = "filter-too-expensive"


def _pointed(text: str, at: int) -> str:
    """Return the text around a fault with a caret below it; control characters become spaces."""
    start = max(0, min(at - SHOWN // 2, len(text) - SHOWN))
    piece = "".join(c if c.isprintable() else " " for c in text[start : start + SHOWN])
    return f"  {piece}\n  {' ' * (at - start)}^"

"""Text to tokens: every character belongs to one, or is refused where it stands."""

import math
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from endcap.recommend.filters.errors import FilterError, TooExpensiveError

MAX_BYTES: Final = 4096
WORDS: Final = ("and", "or", "not", "in", "true", "false")
_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
      | (?P<name>[^\W\d]\w*(?:\.\w+)*)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<sign>==|!=|<=|>=|[<>+\-*/(),\[\]])
      | (?P<end>\Z)
    )""",
    re.X | re.S,
)
_MEANT: Final = {
    "=": "To compare, write ==.",
    "&": "Write: and.",
    "|": "Write: or.",
    "!": "Write: not.",
}
_ESCAPE: Final = re.compile(r"\\(.)", re.S)


class Token(NamedTuple):
    """One word of the language: ``number``, ``name``, ``text``, ``word``, ``sign`` or ``end``."""

    kind: str
    text: str
    at: int

    @property
    def number(self) -> float:
        """The value of a number."""
        return float(self.text)

    @property
    def content(self) -> str:
        """What stands between the quotes; a backslash takes the next character as it is."""
        return _ESCAPE.sub(r"\1", self.text[1:-1])


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of an expression, the last one of kind ``end``.

    Raises
    ------
    FilterError
        At the first character that begins no token.
    TooExpensiveError
        When the text is longer than `MAX_BYTES` of UTF-8.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise TooExpensiveError(f"The expression has more than {MAX_BYTES:,} bytes", text, 0)
    at, kind = 0, ""
    while kind != "end":
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise _stray(text, at + len(text[at:]) - len(text[at:].lstrip()))
        kind = found.lastgroup
        token = Token(kind, found[kind], found.start(kind))
        if kind == "number" and not math.isfinite(token.number):
            raise FilterError(f"{token.text} is no number that can be held", text, token.at)
        yield token._replace(kind="word") if token.text in WORDS else token
        at = found.end()


def _stray(text: str, at: int) -> FilterError:
    stray = text[at]
    if stray in "\"'":
        return FilterError("This text has no end", text, at, hint=f"Close it with {stray}.")
    return FilterError(f"{stray!r} means nothing here", text, at, hint=_MEANT.get(stray, ""))

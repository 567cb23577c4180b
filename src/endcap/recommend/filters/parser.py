"""Tokens to a tree, by recursive descent, within fixed limits.

or         = and ("or" and)*
and        = not ("and" not)*
not        = "not" not | comparison
comparison = sum [("==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not" "in") sum]
sum        = product (("+" | "-") product)*
product    = minus (("*" | "/") minus)*
minus      = "-" minus | atom
atom       = number | text | "true" | "false" | name | name "(" [or ("," or)*] ")"
           | "[" [value ("," value)*] "]" | "(" or ")"
value      = ["-"] number | text
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from endcap.recommend.filters.errors import FilterError, TooExpensiveError
from endcap.recommend.filters.lexer import Token, tokens
from endcap.recommend.filters.nodes import (
    Call,
    Infix,
    Listing,
    Name,
    Node,
    Number,
    Prefix,
    Text,
    Truth,
)

MAX_DEPTH: Final = 8
MAX_TERMS: Final = 200
MAX_LIST: Final = 1000
COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")


@lru_cache(maxsize=256)
def parse(text: str) -> Node:
    """Return the tree of an expression.

    Raises
    ------
    FilterError
        Pointing at the character that cannot be understood.
    TooExpensiveError
        Beyond 4 KB, `MAX_DEPTH` brackets, calls and prefixes within each other, `MAX_TERMS` names
        and values, or `MAX_LIST` values in a list.
    """
    return _Parser(text).whole()


class _Parser:
    """Reads one expression from left to right; it lives for one call of `parse`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens(text))
        self._next = 0
        self._depth = 0
        self._terms = 0

    def whole(self) -> Node:
        node = self._or()
        if self._token.kind != "end":
            raise self._error(f"{self._token.text!r} cannot stand here")
        return node

    def _or(self) -> Node:
        return self._chain(self._and, ("or",))

    def _and(self) -> Node:
        return self._chain(self._not, ("and",))

    def _not(self) -> Node:
        token = self._token
        if not self._take("not"):
            return self._comparison()
        with self._deeper(token):
            return Prefix("not", self._not(), token.at)

    def _comparison(self) -> Node:
        left, token = self._sum(), self._token
        if self._take("not"):
            self._expect("in")
            return Infix("not in", left, self._sum(), token.at)
        if not self._take(*COMPARISONS, "in"):
            return left
        node = Infix(token.text, left, self._sum(), token.at)
        if self._token.text in COMPARISONS:
            raise self._error("Comparisons cannot be chained", hint="Join them with and.")
        return node

    def _sum(self) -> Node:
        return self._chain(self._product, ("+", "-"))

    def _product(self) -> Node:
        return self._chain(self._minus, ("*", "/"))

    def _minus(self) -> Node:
        token = self._token
        if not self._take("-"):
            return self._atom()
        with self._deeper(token):
            return Prefix("-", self._minus(), token.at)

    def _chain(self, part: Callable[[], Node], operators: tuple[str, ...]) -> Node:
        node = part()
        while (token := self._token).text in operators and self._take(*operators):
            node = Infix(token.text, node, part(), token.at)
        return node

    def _atom(self) -> Node:
        token = self._token
        self._count(token)
        if self._take("("):
            with self._deeper(token):
                node = self._or()
            self._expect(")")
            return node
        if self._take("["):
            return self._listing(token)
        if self._take("true", "false"):
            return Truth(token.text == "true", token.at)
        if token.kind not in {"number", "text", "name"}:
            raise self._error("A field, a value or a bracket must stand here")
        self._next += 1
        if token.kind == "number":
            return Number(token.number, token.at)
        if token.kind == "text":
            return Text(token.content, token.at)
        return self._call(token) if self._take("(") else Name(token.text, token.at)

    def _call(self, name: Token) -> Node:
        with self._deeper(name):
            arguments = [] if self._token.text == ")" else [self._or()]
            while arguments and self._take(","):
                arguments.append(self._or())
        self._expect(")")
        return Call(name.text, tuple(arguments), name.at)

    def _listing(self, bracket: Token) -> Node:
        values: list[str | float] = []
        while not self._take("]"):
            if values:
                self._expect(",")
            values.append(self._value())
            if len(values) > MAX_LIST:
                raise TooExpensiveError(
                    f"This list has more than {MAX_LIST:,} values", self._text, bracket.at
                )
        texts = tuple(value for value in values if isinstance(value, str))
        numbers = tuple(value for value in values if isinstance(value, float))
        if texts and numbers:
            raise FilterError("This list mixes texts and numbers", self._text, bracket.at)
        return Listing(texts or numbers, bracket.at)

    def _value(self) -> str | float:
        negative = self._take("-")
        token = self._token
        if token.kind == "number":
            self._next += 1
            return -token.number if negative else token.number
        if token.kind == "text" and not negative:
            self._next += 1
            return token.content
        raise self._error("A list holds texts in quotes, or numbers")

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self, *texts: str) -> bool:
        """Pass over a sign or word where it is one of `texts`."""
        taken = self._token.kind in {"sign", "word"} and self._token.text in texts
        self._next += taken
        return taken

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._error(f"{text!r} must stand here")

    def _count(self, token: Token) -> None:
        self._terms += token.text != "("
        if self._terms > MAX_TERMS:
            raise TooExpensiveError(f"More than {MAX_TERMS} terms", self._text, token.at)

    @contextmanager
    def _deeper(self, token: Token) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooExpensiveError(f"Nested deeper than {MAX_DEPTH}", self._text, token.at)
        yield
        self._depth -= 1

    def _error(self, said: str, hint: str = "") -> FilterError:
        return FilterError(said, self._text, self._token.at, hint=hint)

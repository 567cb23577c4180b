"""The tree of an expression, and its one way back to text."""

from dataclasses import dataclass, field
from typing import Final

PRECEDENCE: Final[dict[str, int]] = {
    "or": 1,
    "and": 2,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not in"), 4),
    **dict.fromkeys(("+", "-"), 5),
    **dict.fromkeys(("*", "/"), 6),
}
NOT, MINUS, ATOM = 3, 7, 8


@dataclass(frozen=True, slots=True)
class Number:
    """A number that is not negative; a minus before it is a `Prefix`."""

    value: float
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Text:
    """A text in quotes."""

    value: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Truth:
    """`true` or `false`."""

    value: bool
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A field: ``price``, ``attributes.colour``, ``user.bought.brand``."""

    path: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Listing:
    """Texts or numbers in brackets, of one kind."""

    values: tuple[str, ...] | tuple[float, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Prefix:
    """`not` or `-` before an expression."""

    operator: str
    of: "Node"
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Infix:
    """Two expressions with an operator of `PRECEDENCE` between them."""

    operator: str
    left: "Node"
    right: "Node"
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of expressions."""

    function: str
    arguments: tuple["Node", ...]
    at: int = field(default=0, compare=False)


Node = Number | Text | Truth | Name | Listing | Prefix | Infix | Call


def unparse(node: Node) -> str:  # noqa: PLR0911
    """Return the text of a tree: parsed again, it gives the same tree.

    Examples
    --------
    >>> unparse(Infix("<", Name("price"), Number(50.0)))
    'price < 50'
    """
    match node:
        case Number(value):
            return _number(value)
        case Text(value):
            return _quoted(value)
        case Truth(value):
            return str(value).lower()
        case Name(path):
            return path
        case Listing(values):
            written = [_quoted(v) if isinstance(v, str) else _number(v) for v in values]
            return f"[{', '.join(written)}]"
        case Call(function, arguments):
            return f"{function}({', '.join(map(unparse, arguments))})"
        case Prefix("not", of):
            return f"not {_within(of, NOT)}"
        case Prefix(operator, of):
            return f"{operator}{_within(of, MINUS)}"
        case Infix(operator, left, right):
            level = PRECEDENCE[operator]
            chained = level != PRECEDENCE["in"]  # a < b < c is refused
            return f"{_within(left, level + (not chained))} {operator} {_within(right, level + 1)}"


def _within(node: Node, level: int) -> str:
    text = unparse(node)
    return f"({text})" if _level(node) < level else text


def _level(node: Node) -> int:
    if isinstance(node, Infix):
        return PRECEDENCE[node.operator]
    if isinstance(node, Prefix):
        return NOT if node.operator == "not" else MINUS
    return ATOM


def _number(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

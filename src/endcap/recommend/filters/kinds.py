"""What kind of value each part of an expression has, and which go together."""

import difflib
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from endcap.recommend.filters.errors import FilterError
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
from endcap.schema.errors import nearest


class Kind(StrEnum):
    """Kinds of value; `ANY` is that of an attribute before a catalogue is known."""

    NUMBER = "a number"
    TEXT = "a text"
    TEXTS = "texts"
    NUMBERS = "numbers"
    TRUTH = "a condition"
    TIME = "a time"
    ANY = "anything"


ITEM_FIELDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(
        ("item_id", "group_id", "domain", "brand", "currency", "availability"), Kind.TEXT
    ),
    "categories": Kind.TEXTS,
    **dict.fromkeys(("price", "sale_price", "cost", "stock", "margin", "discount"), Kind.NUMBER),
    "created": Kind.TIME,
    "expires": Kind.TIME,
}
"""Of every catalogue. ``margin`` is (paid - cost) / paid, ``discount`` 1 - sale_price / price."""

ALIASES: Final = {"category": "categories", "item": "item_id", "group": "group_id"}
ATTRIBUTES: Final = "attributes."
SCOPES: Final = {
    "user.bought": "what the shopper bought",
    "user.viewed": "what they looked at or clicked",
    "user.cart": "what is in their cart",
    "user.wished": "what they wish for",
    "user.dismissed": "what they do not want to see",
    "context": "the items the page is about",
}
"""Groups of items: a text of theirs is the set of all, a number the mean."""

HERE: Final = {
    "user.lat": "where the shopper's account says they are: degrees north",
    "user.lon": "where the shopper's account says they are: degrees east",
    "context.lat": "where the request says they are: degrees north",
    "context.lon": "where the request says they are: degrees east",
}
"""Numbers that belong to no item."""

FUNCTIONS: Final = {
    "has": "has(field): whether it is known",
    "days_since": "days_since(created): days gone by",
    "contains": 'contains(categories, "Home"): in this category or below it',
    "distance": "distance(attributes.lat, attributes.lon, 48.86, 2.35): kilometres between places",
}
ARGUMENTS: Final = {"contains": 2, "distance": 4}
"""Of functions that take another number of them than one."""


def split(path: str) -> tuple[str, str]:
    """Split a path into its scope, empty for the item itself, and its field without alias.

    Examples
    --------
    >>> split("user.bought.category"), split("price")
    (('user.bought', 'categories'), ('', 'price'))
    """
    if path in HERE:
        owner, _, name = path.partition(".")
        return owner, name
    scope = next((scope for scope in SCOPES if path.startswith(f"{scope}.")), "")
    name = path.removeprefix(f"{scope}.") if scope else path
    return scope, ALIASES.get(name, name)


def kind_of(node: Node, text: str, fields: Mapping[str, Kind] | None = None) -> Kind:
    """Return the kind of an expression's value.

    Parameters
    ----------
    text
        The whole expression, for the message.
    fields
        Those of the catalogue; None, where none is known yet, takes any attribute.

    Raises
    ------
    FilterError
        For an unknown field or function (the nearest is named), and for what does not go together.
    """
    return _Kinds(text, fields).of(node)


class _Kinds:
    def __init__(self, text: str, fields: Mapping[str, Kind] | None) -> None:
        self._text = text
        self._fields = ITEM_FIELDS if fields is None else fields
        self._open = fields is None

    def of(self, node: Node) -> Kind:  # noqa: PLR0911
        match node:
            case Number():
                return Kind.NUMBER
            case Text():
                return Kind.TEXT
            case Truth():
                return Kind.TRUTH
            case Listing(values):
                empty = not values
                texts = values and isinstance(values[0], str)
                return Kind.ANY if empty else Kind.TEXTS if texts else Kind.NUMBERS
            case Name():
                return self._name(node)
            case Call():
                return self._call(node)
            case Prefix("not", of):
                self._must(of, Kind.TRUTH)
                return Kind.TRUTH
            case Prefix(_, of):
                self._must(of, Kind.NUMBER, Kind.TRUTH)
                return Kind.NUMBER
            case Infix():
                return self._infix(node)

    def _name(self, node: Name) -> Kind:
        if node.path in HERE:
            return Kind.NUMBER
        scope, name = split(node.path)
        fresh = self._open and name.startswith(ATTRIBUTES)
        kind = self._fields.get(name, Kind.ANY if fresh else None)
        if kind is None or (scope and kind in {Kind.TIME, Kind.TRUTH}):
            known = [*self._fields, *ALIASES]
            known += [f"{scope}.{field}" for scope in SCOPES for field in known]
            known += HERE
            close = difflib.get_close_matches(node.path, known, n=1)
            hint = nearest(node.path, close or [*self._fields, *(f"{s}.…" for s in SCOPES)])
            raise self._error(f"There is no field {node.path!r}", node, hint)
        return Kind.TEXTS if scope and kind is Kind.TEXT else kind

    def _call(self, node: Call) -> Kind:
        name, arguments = node.function, node.arguments
        if name not in FUNCTIONS:
            raise self._error(f"There is no function {name!r}", node, nearest(name, FUNCTIONS))
        if len(arguments) != ARGUMENTS.get(name, 1):
            raise self._error(f"{name} is written otherwise", node, f"Write {FUNCTIONS[name]}.")
        if name == "distance":
            for argument in arguments:
                self._must(argument, Kind.NUMBER)
            return Kind.NUMBER
        if name != "contains" and not isinstance(arguments[0], Name):
            raise self._error(f"{name} takes the name of a field", arguments[0])
        if name == "has":
            self.of(arguments[0])
            return Kind.TRUTH
        if name == "days_since":
            self._must(arguments[0], Kind.TIME)
            return Kind.NUMBER
        self._must(arguments[0], Kind.TEXTS)
        self._must(arguments[1], Kind.TEXT, Kind.TEXTS)
        self._one_side_is_given(arguments[0], arguments[1], node)
        return Kind.TRUTH

    def _infix(self, node: Infix) -> Kind:
        operator = node.operator
        if operator in {"and", "or"}:
            self._must(node.left, Kind.TRUTH)
            self._must(node.right, Kind.TRUTH)
            return Kind.TRUTH
        if operator in {"+", "-", "*", "/"}:
            self._must(node.left, Kind.NUMBER, Kind.TRUTH)
            self._must(node.right, Kind.NUMBER, Kind.TRUTH)
            return Kind.NUMBER
        if operator in {"==", "!="}:
            left = self._must(node.left, Kind.NUMBER, Kind.TEXT)
            self._must(node.right, *([Kind.NUMBER, Kind.TEXT] if left is Kind.ANY else [left]))
        elif operator in {"in", "not in"}:
            left = self._must(node.left, Kind.NUMBER, Kind.TEXT, Kind.TEXTS)
            lists = {Kind.NUMBER: [Kind.NUMBERS], Kind.ANY: [Kind.NUMBERS, Kind.TEXTS]}
            self._must(node.right, *lists.get(left, [Kind.TEXTS]))
        else:
            self._must(node.left, Kind.NUMBER)
            self._must(node.right, Kind.NUMBER)
            return Kind.TRUTH
        self._one_side_is_given(node.left, node.right, node)
        return Kind.TRUTH

    def _must(self, node: Node, *wanted: Kind) -> Kind:
        kind = self.of(node)
        if kind not in wanted and kind is not Kind.ANY:
            raise self._error(
                f"This is {kind}; {' or '.join(wanted)} must stand here", node, _hint(kind, wanted)
            )
        return kind

    def _one_side_is_given(self, left: Node, right: Node, node: Node) -> None:
        texts = (Kind.TEXT, Kind.TEXTS)
        if all(_is_of_item(side) and self.of(side) in texts for side in (left, right)):
            raise self._error(
                "Two texts of the item cannot be compared",
                node,
                "One side must be a text in quotes, a list, or of user or context.",
            )

    def _error(self, said: str, node: Node, hint: str = "") -> FilterError:
        return FilterError(said, self._text, node.at, hint=hint)


def _is_of_item(node: Node) -> bool:
    return isinstance(node, Name) and not split(node.path)[0]


def _hint(kind: Kind, wanted: tuple[Kind, ...]) -> str:
    if kind is Kind.TIME:
        return "Write days_since(created)."
    if kind is Kind.TEXTS and Kind.TEXT in wanted:
        return "Write in instead of ==."
    if kind is Kind.TEXT and Kind.TRUTH in wanted:
        return 'Compare it: brand == "Acme".'
    return ""

"""What may come next in an expression: the data behind a completing editor."""

import re
from typing import Final, Literal, NamedTuple

from endcap.recommend.filters.columns import Columns, TextColumn
from endcap.recommend.filters.errors import FilterError
from endcap.recommend.filters.kinds import FUNCTIONS, HERE, SCOPES, Kind, split
from endcap.recommend.filters.lexer import MAX_BYTES, WORDS, Token, tokens

VALUES: Final = 20
_LETTER: Final = re.compile(r"[^\W\d]")
_COMPARE: Final = ("==", "!=", "in", "[", ",", "not")
_AFTER: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.NUMBER: ("<", "<=", ">", ">=", "==", "!=", "in"),
    Kind.TEXT: ("==", "!=", "in", "not in"),
    Kind.TEXTS: ("in", "not in"),
}


class Suggestion(NamedTuple):
    """One way to go on.

    Attributes
    ----------
    text
        What to write in place of what was begun.
    kind
        Of what it is.
    about
        A few words for whoever chooses.
    """

    text: str
    kind: Literal["field", "scope", "function", "value", "operator"]
    about: str


def suggest(before: str, columns: Columns) -> tuple[int, list[Suggestion]]:
    """Return what may follow the text before the cursor; nothing after more than `MAX_BYTES`.

    Returns
    -------
    start, suggestions
        Where what was begun starts (it is to be replaced), and the ways to go on that begin so.

    Examples
    --------
    >>> suggest("pri", Columns())
    (0, [Suggestion(text='price', kind='field', about='a number')])
    """
    if len(before) > MAX_BYTES:
        return len(before), []
    start = _start(before)
    prefix = before[start:].lower()
    try:
        past = list(tokens(before[:start]))[:-1]
    except FilterError:
        return start, []
    found = _values(past, columns) or (_operators(past, columns) if past else [])
    found = found or _operands(columns)
    return start, [one for one in found if one.text.lower().startswith(prefix)]


def _start(before: str) -> int:
    """Return where a text without its end, or else a name, was begun."""
    try:
        list(tokens(before))
    except FilterError as error:
        if before[error.at] in "\"'":
            return error.at
    begun = len(before)
    while begun and (before[begun - 1] in "._" or before[begun - 1].isalnum()):
        begun -= 1
    letter = _LETTER.search(before, begun)  # a name does not begin with a digit or a dot
    return letter.start() if letter else len(before)


def _values(past: list[Token], columns: Columns) -> list[Suggestion]:
    """The most frequent texts of the field that is being compared."""
    signs = [token for token in past if token.kind != "text"]
    while signs and signs[-1].text in _COMPARE:
        signs.pop()
    if len(signs) == len(past) or not signs or past[-1].text not in _COMPARE:
        return []
    with columns.lock:
        column = columns.columns.get(split(signs[-1].text)[1])
        texts = column.common(VALUES) if isinstance(column, TextColumn) else []
    quoted = ((text, text.replace("\\", "\\\\").replace('"', '\\"')) for text in texts)
    return [Suggestion(f'"{safe}"', "value", text) for text, safe in quoted]


def _operators(past: list[Token], columns: Columns) -> list[Suggestion]:
    last = past[-1]
    if last.kind == "word" and last.text not in {"true", "false"}:
        return []
    if last.kind == "sign" and last.text not in {")", "]"}:
        return []
    kind = _kind(last.text, columns) if last.kind == "name" else None
    signs = (*_AFTER.get(kind, ()), "and", "or") if kind else ("and", "or")
    return [Suggestion(sign, "operator", "") for sign in signs]


def _kind(path: str, columns: Columns) -> Kind | None:
    return Kind.NUMBER if path in HERE else columns.kinds.get(split(path)[1])


def _operands(columns: Columns) -> list[Suggestion]:
    fields = [Suggestion(name, "field", kind) for name, kind in columns.kinds.items()]
    scopes = [
        Suggestion(f"{scope}.{name}", "scope", f"{about}: {kind}")
        for scope, about in SCOPES.items()
        for name, kind in columns.kinds.items()
        if kind in _AFTER
    ]
    scopes += [Suggestion(name, "scope", about) for name, about in HERE.items()]
    functions = [Suggestion(f"{name}(", "function", about) for name, about in FUNCTIONS.items()]
    words = [Suggestion(word, "operator", "") for word in WORDS if word in {"not", "true", "false"}]
    return [*fields, *functions, *words, *scopes]

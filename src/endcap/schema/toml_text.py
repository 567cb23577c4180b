"""Plain values as TOML text; the standard library reads TOML and does not write it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(values: Mapping[str, Any]) -> str:
    """Return text that ``tomllib`` reads as `values`; None is left out.

    Tables and lists of tables get headers of their own, so that people can read and edit them.

    Examples
    --------
    >>> print(to_toml({"fill": True, "hide": {"days": 30}, "levels": [{"kinds": ["view"]}]}))
    fill = true
    hide = { days = 30 }
    <BLANKLINE>
    [[levels]]
    kinds = ["view"]
    """
    return "\n".join(_lines(values, ())).strip()


def _lines(values: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines, tables = [], []
    for key, value in values.items():
        if value is None:
            continue
        if _is_large(value):
            tables.append((key, value))
        else:
            lines.append(f"{_key(key)} = {_value(value)}")
    for key, value in tables:
        inner = (*path, key)
        name = ".".join(map(_key, inner))
        for table in [value] if isinstance(value, Mapping) else value:
            lines += ["", f"[{name}]" if isinstance(value, Mapping) else f"[[{name}]]"]
            lines += _lines(table, inner)
    return lines


def _is_large(value: Any) -> bool:
    if isinstance(value, Mapping):
        return not _small(value)
    return _is_tables(value) and not all(map(_small, value))


def _small(table: Mapping[str, Any]) -> bool:
    """Whether a table reads well in one line inside another."""
    plain = not any(isinstance(value, Mapping | list | tuple) for value in table.values())
    return plain and len(_value(table)) <= 60


def _is_tables(value: Any) -> bool:
    listed = isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0
    return listed and all(isinstance(one, Mapping) for one in value)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else _value(key)

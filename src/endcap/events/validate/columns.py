"""Rows to columns: each distinct value of a column is parsed once."""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from endcap.events.validate.cells import Id, Parse, Text, json_object, json_text
from endcap.events.validate.faults import Fault, Refused
from endcap.schema.shapes import shape_of

Row = Mapping[str, Any]
Columns = dict[str, list[Any]]
"""Parsed values by field; absent where no row has the field."""

_MEMO: Final = tuple(frozenset({t, type(None)}) for t in (str, int, float, Decimal, datetime))
"""Types within which equal values mean the same; across types they do not (``True == 1``)."""


def attempt(parse: Parse, value: Any, field: str) -> Any:
    """Return the parsed value, or the `Fault` in its place."""
    try:
        return parse(value)
    except Refused as no:
        return Fault(no.reason, f"{field}: {no.detail}", field)


def parse_column(
    values: Sequence[Any], parse: Parse, field: str, faults: dict[int, Fault]
) -> list[Any]:
    """Parse a column; put the first fault of each row into `faults`.

    Returns
    -------
    list
        The typed values; a `Fault` where there is one.
    """
    types = set(map(type, values))
    memo = _repeatable(types)
    distinct: Collection[Any] = set(values) if memo else values
    if types == {str} and isinstance(parse, Text | Id) and parse.keeps(distinct):
        return list(values)
    try:  # the common case: nothing is wrong in the whole column
        parsed = [parse(value) for value in distinct]
    except Refused:
        parsed = [attempt(parse, value, field) for value in distinct]
    if not memo:
        out = parsed
    else:
        known = dict(zip(distinct, parsed, strict=True))
        out = [known[value] for value in values]
    note_faults(out, parsed, faults)
    return out


def field_names(rows: Sequence[Row]) -> set[str]:
    """Return every key that some row has."""
    return set().union(*rows)


def parse_columns(
    rows: Sequence[Row],
    parsers: Mapping[str, Parse],
    faults: dict[int, Fault],
    *,
    always: Collection[str] = (),
) -> Columns:
    """Parse every column of `parsers` that the rows have, and those named in `always`."""
    names = field_names(rows).union(always)
    return {
        name: parse_column([row.get(name) for row in rows], parse, name, faults)
        for name, parse in parsers.items()
        if name in names
    }


def gather_extras(rows: Sequence[Row], names: Sequence[str], into: str) -> list[Any]:
    """Return, for each row, its fields `names` together with the object it has in `into`.

    A field of `into` itself wins over an unknown field of the same name, which is then kept
    under its name with a leading underscore, so that nothing is lost.
    """
    out: list[Any] = []
    for row in rows:
        given = row.get(into)
        extra = {k: row[k] for k in names if k in row and row[k] is not None and row[k] != ""}
        if not extra:
            out.append(given)
        elif given is None:
            out.append(extra)
        else:
            own = _as_object(given, into)
            out.append({(f"_{k}" if k in own else k): v for k, v in extra.items()} | own)
    return out


def parse_extras(
    rows: Sequence[Row], known: frozenset[str], into: str, faults: dict[int, Fault]
) -> Columns:
    """Return the column `into`: JSON of what rows carry beyond the `known` fields, if anything.

    Values of a few kinds (a country, a flag) come again and again: each combination is written
    once.
    """
    present = field_names(rows)
    names = sorted(present - known - {into}, key=str)
    if not names and into not in present:
        return {}
    cells = [[row.get(name) for row in rows] for name in names]
    if into in present or not all(_repeatable(set(map(type, column))) for column in cells):
        return {into: parse_column(gather_extras(rows, names, into), json_text, into, faults)}
    keys = list(zip(*cells, strict=True))
    # distinct combinations, each by the first row that has it
    first = dict(zip(reversed(keys), reversed(range(len(rows))), strict=True))
    few = gather_extras([rows[index] for index in first.values()], names, into)
    texts = dict(zip(first, (attempt(json_text, extra, into) for extra in few), strict=True))
    out = [texts[key] for key in keys]
    note_faults(out, texts.values(), faults)
    return {into: out}


def _repeatable(types: set[type]) -> bool:
    """Return whether values of these types mean the same where they are equal."""
    return any(types <= same for same in _MEMO)


def note_faults(out: Sequence[Any], parsed: Iterable[Any], faults: dict[int, Fault]) -> None:
    """Put the faults of a column into `faults`, where a row has none yet."""
    if Fault in set(map(type, parsed)):
        for index, value in enumerate(out):
            if type(value) is Fault:
                faults.setdefault(index, value)


def _as_object(given: Any, into: str) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    try:
        return json_object(given) or {}
    except Refused:
        return {into: given}


def to_table(schema: pa.Schema, columns: Columns, keep: Sequence[bool]) -> pa.Table:
    """Return the kept rows as a table of `schema`; absent columns are null."""
    size = sum(keep)
    every = size == len(keep)
    shape = shape_of(schema)
    arrays = list(shape.blank(size))
    for place, name in enumerate(shape.names):
        values = columns.get(name)
        if values is not None:
            kept = values if every else list(itertools.compress(values, keep))
            arrays[place] = pa.array(kept, shape.types[place])
    return pa.Table.from_arrays(arrays, schema=schema)

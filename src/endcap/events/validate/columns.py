"""Rows to columns: each distinct value of a column is parsed once."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from endcap.events.validate.cells import Parse, json_object
from endcap.events.validate.faults import Fault, Refused

Row = Mapping[str, Any]

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
    memo = any(types <= same for same in _MEMO)
    distinct: Collection[Any] = set(values) if memo else values
    try:  # the common case: nothing is wrong in the whole column
        parsed = [parse(value) for value in distinct]
    except Refused:
        parsed = [attempt(parse, value, field) for value in distinct]
    if not memo:
        out = parsed
    else:
        known = dict(zip(distinct, parsed, strict=True))
        out = [known[value] for value in values]
    if Fault in set(map(type, parsed)):
        for index, value in enumerate(out):
            if type(value) is Fault:
                faults.setdefault(index, value)
    return out


def field_names(rows: Sequence[Row]) -> set[str]:
    """Return every key that some row has."""
    names: set[str] = set()
    for row in rows:
        names.update(row)
    return names


def parse_columns(
    rows: Sequence[Row], parsers: Mapping[str, Parse], faults: dict[int, Fault]
) -> dict[str, list[Any]]:
    """Parse every column of `parsers` that the rows have or that may not be missing."""
    names = field_names(rows)
    return {
        name: parse_column([row.get(name) for row in rows], parse, name, faults)
        for name, parse in parsers.items()
        if name in names
    }


def gather_extras(rows: Sequence[Row], known: frozenset[str], into: str) -> list[Any]:
    """Return, for each row, its unknown fields together with what it has in `into`.

    A field of `into` itself wins over an unknown field of the same name, which is then kept
    under its name with a leading underscore, so that nothing is lost.
    """
    out = []
    for row in rows:
        given = row.get(into)
        extra = {str(k): v for k, v in row.items() if k not in known and v is not None and v != ""}
        if not extra:
            out.append(given)
        else:
            own = _as_object(given, into)
            out.append({(f"_{k}" if k in own else k): v for k, v in extra.items()} | own)
    return out


def _as_object(given: Any, into: str) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    try:
        return json_object(given) or {}
    except Refused:
        return {into: given}


def to_table(
    schema: pa.Schema, columns: Mapping[str, Sequence[Any]], keep: Sequence[bool]
) -> pa.Table:
    """Return the kept rows as a table of `schema`; absent columns are null."""
    size = sum(keep)
    every = size == len(keep)
    arrays = []
    for field in schema:
        values = columns.get(field.name)
        if values is None:
            arrays.append(pa.nulls(size, field.type))
        else:
            kept = values if every else list(itertools.compress(values, keep))
            arrays.append(pa.array(kept, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)

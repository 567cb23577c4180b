"""A schema taken apart once: asking Arrow again costs more than a single event may."""

from typing import Final

import pyarrow as pa


class Shape:
    """What is asked of a schema again and again.

    Attributes
    ----------
    names, types
        Of its columns, in order.
    needed
        Places of columns that may hold no null.
    floating
        Places of columns that could hold NaN.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.names: list[str] = schema.names
        self.types: list[pa.DataType] = schema.types
        self.needed = [place for place, field in enumerate(schema) if not field.nullable]
        self.floating = [n for n, kind in enumerate(self.types) if pa.types.is_floating(kind)]
        self._blank: dict[int, list[pa.Array]] = {}

    def blank(self, rows: int) -> list[pa.Array]:
        """Return each column with nothing in it, of so many rows; not to be changed."""
        if rows > SMALL:
            return [pa.nulls(rows, kind) for kind in self.types]
        if rows not in self._blank:
            self._blank[rows] = [pa.nulls(rows, kind) for kind in self.types]
        return self._blank[rows]


SMALL: Final = 128
"""Blank columns of up to so many rows are kept."""
_SHAPES: Final[dict[int, Shape]] = {}


def shape_of(schema: pa.Schema) -> Shape:
    """Return the shape of a schema, kept by its identity: hashing one takes longer."""
    known = _SHAPES.get(id(schema))
    if known is None or known.schema is not schema:
        known = _SHAPES[id(schema)] = Shape(schema)
    return known

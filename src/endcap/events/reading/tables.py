"""Delimited text: one bad quote costs one row, not the rest of the file."""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from endcap.events.reading.lines import MAX_LINE, read_lines
from endcap.events.reading.source import Piece, Rename, Source
from endcap.events.validate.faults import Fault
from endcap.schema.errors import DataError

MAX_COLUMNS: Final = 2000
_MAX_LINES: Final = 200
"""Lines that one quoted cell may span."""


def split_cells(line: str, delimiter: str) -> list[str]:
    """Split one whole record.

    Raises
    ------
    csv.Error
        When quotes do not close or do not stand at the edges of a cell.
    """
    if '"' not in line:
        return line.split(delimiter)
    return next(csv.reader([line], delimiter=delimiter, strict=True))


def read_table(
    source: Source,
    *,
    delimiter: str,
    header: Sequence[str] = (),
    encoding: str = "",
    quoted: bool = True,
    rename: Rename = list,
) -> Iterator[Piece]:
    """Yield each record as a dict by column.

    Parameters
    ----------
    delimiter
        One character, or more where cells are not quoted.
    header
        Names of the columns; by default they stand in the first line.
    quoted
        Whether quotes hold cells together; if not, they are characters like others.
    rename
        Gives the columns other names.

    Raises
    ------
    DataError
        When there are more than 2,000 columns or two of the same name.
    """
    records = (
        _records(source, delimiter, len(header), encoding)
        if quoted
        else _plain(source, delimiter, encoding)
    )
    names = rename(header)
    for line, content, raw, _ in records:
        if type(content) is Fault:
            yield Piece(line, content, raw)
        elif not names:
            names = rename(_header(source, content))
        elif len(content) == len(names) or (len(content) == len(names) + 1 and not content[-1]):
            yield Piece(line, dict(zip(names, content)), raw)  # noqa: B905 (one may be over)
        else:
            detail = f"{len(content)} cells, but the header has {len(names)} columns."
            yield Piece(line, Fault("wrong-columns", detail), raw)


def _header(source: Source, cells: Sequence[str]) -> list[str]:
    names = [cell.strip().strip("\ufeff") for cell in cells]
    twice = (
        sorted({name for name in names if name and names.count(name) > 1})
        if len(names) < 99
        else []
    )
    if twice or len(names) > MAX_COLUMNS:
        what = f"two columns named {twice[0]!r}" if twice else f"{len(names)} columns"
        raise DataError(f"{source.path} has {what}.", hint="Is its first line a header?")
    return names


def _plain(source: Source, delimiter: str, encoding: str) -> Iterator[Piece]:
    for piece in read_lines(source, encoding):
        if type(piece.content) is Fault:
            yield piece
        else:
            yield Piece(piece.line, piece.content.split(delimiter), piece.raw)


def _records(source: Source, delimiter: str, width: int, encoding: str) -> Iterator[Piece]:
    """Yield the cells of each record; a quoted cell may span lines."""
    lines = read_lines(source, encoding)
    ahead: deque[Piece] = deque()
    while (piece := ahead.popleft() if ahead else next(lines, None)) is not None:
        if type(piece.content) is Fault:
            yield piece
            continue
        try:
            cells = split_cells(piece.content, delimiter)
        except csv.Error as error:
            if "end of data" in str(error):
                yield _spanning(piece, lines, ahead, delimiter, width)
            else:
                yield Piece(piece.line, Fault("bad-csv", f"Misplaced quotes: {error}."), piece.raw)
            continue
        width = width or len(cells)
        yield Piece(piece.line, cells, piece.raw)


def _spanning(
    first: Piece, lines: Iterator[Piece], ahead: deque[Piece], delimiter: str, width: int
) -> Piece:
    """Join lines until the quote closes; a quote that does not is a fault of its line alone.

    Lines between that are whole records by themselves show that the quote is a stray one.
    """
    block, size = [first], len(first.content)
    while len(block) < _MAX_LINES and size < MAX_LINE:
        piece = ahead.popleft() if ahead else next(lines, None)
        if piece is None:
            break
        block.append(piece)
        if type(piece.content) is Fault:
            break
        size += len(piece.content)
        if '"' not in piece.content:
            continue
        text = "\n".join(part.content for part in block)
        try:
            cells = split_cells(text, delimiter)
        except csv.Error as error:
            if "end of data" in str(error):
                continue
            break
        middle = [part.content.count(delimiter) + 1 == width for part in block[1:-1]]
        if len(cells) == width and not (middle and all(middle)):
            return Piece(first.line, cells, text)
        break
    ahead.extendleft(reversed(block[1:]))
    return Piece(first.line, Fault("open-quote", "A quote opens here and never closes."), first.raw)

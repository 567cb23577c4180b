"""CSV that a spreadsheet may open: what a stranger wrote is never run as a formula."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

TRIGGERS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet take a text for a formula, full-width forms included."""


def harmless(value: Any) -> Any:
    """Return a cell that is shown as it reads; numbers stay numbers.

    Examples
    --------
    >>> harmless("=HYPERLINK(1)"), harmless("Mug"), harmless(-1)
    ("'=HYPERLINK(1)", 'Mug', -1)
    """
    risky = isinstance(value, str) and value.lstrip(" ").startswith(TRIGGERS)
    return f"'{value}" if risky else value


class SafeCsv:
    """Writes rows of named columns; texts that a spreadsheet would run are quoted with a '.

    Parquet keeps every text as it is: it is for machines.
    """

    def __init__(self, handle: TextIO, columns: Sequence[str]) -> None:
        self._columns = columns
        self._writer = csv.writer(handle)
        self._writer.writerow(columns)

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows; what a row lacks is left empty."""
        self._writer.writerows([harmless(row.get(name)) for name in self._columns] for row in rows)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a whole file."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        SafeCsv(handle, columns).write(rows)

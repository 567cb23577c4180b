"""What `prepare` removed and why, in numbers that add up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Group
from rich.table import Table
from rich.text import Text

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One step and what it took away.

    Attributes
    ----------
    name, why
        For people: ``"clocks"``, ``"the time is impossible"``.
    removed
        Rows in less rows out.
    notes
        Further counts by name, such as how many actors a step concerns.
    examples
        A few of the removed rows, in the shop's own ids.
    """

    name: str
    why: str
    removed: int
    notes: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Shapes:
    """What the plots of a report show.

    Attributes
    ----------
    days
        Days since 1970 (UTC), int64 (d,).
    daily
        Events read on each of `days`, by kind: int64 (d,) each.
    user_activity, item_popularity, basket_sizes
        Interactions of each user, of each item, of each session that is left, int64.
    """

    days: npt.NDArray[np.int64]
    daily: Mapping[str, npt.NDArray[np.int64]]
    user_activity: npt.NDArray[np.int64]
    item_popularity: npt.NDArray[np.int64]
    basket_sizes: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PrepareReport:
    """The account of one run: ``rows_in = rows_out + sum of removed``.

    Stability: caller.
    """

    rows_in: int
    rows_out: int
    users: int
    items: int
    catalogue: int
    sessions: int
    fingerprint: str
    steps: tuple[Step, ...]
    shapes: Shapes = field(repr=False)

    @property
    def balanced(self) -> bool:
        """Whether every row that came in went out or is accounted for."""
        return self.rows_in == self.rows_out + sum(step.removed for step in self.steps)

    def removed(self, name: str) -> int:
        """Return how many rows the step of that name removed; 0 when it did not run."""
        return sum(step.removed for step in self.steps if step.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, the plots' data left out."""
        return {
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "users": self.users,
            "items": self.items,
            "catalogue": self.catalogue,
            "sessions": self.sessions,
            "fingerprint": self.fingerprint,
            "steps": [
                {
                    "name": step.name,
                    "why": step.why,
                    "removed": step.removed,
                    "notes": dict(step.notes),
                    "examples": [{k: _plain(v) for k, v in e.items()} for e in step.examples],
                }
                for step in self.steps
            ],
        }

    def to_rich(self) -> Group:
        """Return what a terminal shows."""
        table = Table("step", "why", box=None, pad_edge=False)
        table.add_column("rows", justify="right")
        table.add_column("left", justify="right")
        table.add_row("read", "", "", f"{self.rows_in:,}")
        for step, left in self.walk():
            table.add_row(step.name, step.why + _notes(step), _taken(step), f"{left:,}")
        return Group(table, Text(self.summary))

    def write_html(self, path: Path) -> None:
        """Write a page with plots that needs nothing else."""
        from endcap.prepare.page import render  # Matplotlib takes half a second to import

        path.write_text(render(self), encoding="utf-8")

    @property
    def summary(self) -> str:
        """One line: what the data set holds."""
        return (
            f"{self.rows_out:,} interactions of {self.users:,} users with {self.items:,} items "
            f"({self.catalogue:,} in the catalogue) in {self.sessions:,} sessions; "
            f"data set {self.fingerprint}"
        )

    def walk(self) -> Iterator[tuple[Step, int]]:
        """Yield each step that has something to say, and how many rows are left after it."""
        left = self.rows_in
        for step in self.steps:
            left -= step.removed
            if step.removed or step.notes:
                yield step, left


def _notes(step: Step) -> str:
    said = ", ".join(f"{name} {value:,}" for name, value in step.notes.items())
    return f" ({said})" if said else ""


def _taken(step: Step) -> str:
    return f"-{step.removed:,}" if step.removed else ""


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else str(value)

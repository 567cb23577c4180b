"""The slate of one request while it grows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from endcap.recommend.slate import Reason

EMPTY: Final = "empty"


@dataclass(frozen=True, slots=True)
class Pick:
    """One chosen item and what chose it."""

    item_id: str
    score: float
    source: str
    reasons: tuple[Reason, ...] = ()


@dataclass(slots=True)
class Shelf:
    """At most k picks, none twice, and an account of what fell short.

    It belongs to one call and ends with it.

    Attributes
    ----------
    k
        How many are wanted.
    taken
        External ids that must not come (any more): excluded, seen, context, chosen.
    picks
        What was chosen, best first.
    served_by
        The level that chose first.
    notes
        Why this is less than the placement asks for.
    """

    k: int
    taken: set[str]
    picks: list[Pick] = field(default_factory=list)
    served_by: str = EMPTY
    notes: list[str] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """How many items are still wanted."""
        return self.k - len(self.picks)

    def put(self, level: str, picks: Iterable[Pick]) -> None:
        """Add what a level chose, as far as it is wanted and not taken."""
        fresh = (pick for pick in picks if pick.item_id not in self.taken)
        added = list(islice(fresh, self.missing))
        if not added:
            self.skip(f"{level}: nothing found")
            return
        self.picks += added
        self.taken.update(pick.item_id for pick in added)
        if self.served_by == EMPTY:
            self.served_by = level
            if self.missing:
                self.notes.append(f"{level}: {len(added)} of {self.k}")

    def skip(self, why: str) -> None:
        """Note why a level chose nothing; of no interest once a better one has."""
        if self.served_by == EMPTY:
            self.notes.append(why)

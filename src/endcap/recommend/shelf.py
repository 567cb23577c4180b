"""The slate of one request while it grows."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import msgspec

from endcap.recommend.slate import Expected, Reason

EMPTY: Final = "empty"


Told = Callable[[Sequence[int]], list[tuple[Reason, ...]]]
"""Gives the reasons of some items of a level's answer, by their places in it."""


class Pick(msgspec.Struct, frozen=True):
    """One chosen item and what chose it.

    Attributes
    ----------
    level
        The level that chose it.
    place, told
        Where it stands in the level's answer, and what gives its reasons; they are made for what
        is shown alone.
    due
        When the shopper will need it again, UTC microseconds; 0 where nothing foresees it.
    expected
        What showing it is expected to bring; None where its placement has no objective.
    explored, propensity
        Whether exploration put it there, and the chance of its standing where it does.
    """

    item_id: str
    score: float
    source: str
    reasons: tuple[Reason, ...] = ()
    level: str = ""
    place: int = 0
    told: Told | None = None
    due: int = 0
    expected: Expected | None = None
    explored: bool = False
    propensity: float = 1.0


def explained(picks: Sequence[Pick]) -> list[tuple[Reason, ...]]:
    """Return the reasons of each pick, asked for level by level."""
    out = [pick.reasons for pick in picks]
    for told in {id(pick.told): pick.told for pick in picks if pick.told}.values():
        mine = [at for at, pick in enumerate(picks) if pick.told is told]
        for at, reasons in zip(mine, told([picks[at].place for at in mine]), strict=True):
            out[at] = reasons
    return out


@dataclass(slots=True)
class Shelf:
    """At most k picks, none twice, and an account of what fell short.

    It belongs to one call and ends with it.

    Attributes
    ----------
    k
        How many are to be shown.
    taken
        External ids that must not come (any more): excluded, seen, context, chosen.
    picks
        What was chosen, best first.
    served_by
        The level that chose first.
    notes
        Why this is less than the placement asks for.
    depth
        How many are wanted to choose from, where that is more than k.
    sift
        Lets through what may stand beside what is there, replaced or not; None lets all through.
    """

    k: int
    taken: set[str]
    picks: list[Pick] = field(default_factory=list)
    served_by: str = EMPTY
    notes: list[str] = field(default_factory=list)
    depth: int = 0
    sift: Callable[[Iterable[Pick]], Iterable[Pick]] | None = None

    @property
    def missing(self) -> int:
        """How many items are still wanted."""
        return max(self.k, self.depth) - len(self.picks)

    def put(self, level: str, picks: Iterable[Pick]) -> None:
        """Add what a level chose, as far as it is wanted and not taken."""
        fresh = (pick for pick in picks if pick.item_id not in self.taken)
        if self.sift is not None:
            fresh = (pick for pick in self.sift(fresh) if pick.item_id not in self.taken)
        added = list(islice(fresh, self.missing))
        if not added:
            self.skip(f"{level}: nothing found")
            return
        self.picks += added
        self.taken.update(pick.item_id for pick in added)
        if self.served_by == EMPTY:
            self.served_by = level
            if len(self.picks) < self.k:
                self.notes.append(f"{level}: {len(added)} of {self.k}")

    def skip(self, why: str) -> None:
        """Note why a level chose nothing; of no interest once a better one has."""
        if self.served_by == EMPTY:
            self.notes.append(why)

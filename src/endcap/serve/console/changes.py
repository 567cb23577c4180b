"""What one event changed on the shelf."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

from endcap.recommend.slate import Slate


@dataclass(frozen=True, slots=True)
class Happening:
    """An event and what followed from it.

    Attributes
    ----------
    event_id, actor, kind, item_id
        The event.
    fate
        ``"stored"``, ``"duplicate"``, ``"quarantined"`` or ``"rejected"``.
    stored_ms, answered_ms
        Milliseconds until the event was durable and live, and to compute the new slate.
    entered, left
        Item ids that came into the slate and went out of it.
    moved
        Item id -> how many places it rose (below zero: sank); only those that moved.
    """

    event_id: str
    actor: str
    kind: str
    item_id: str
    fate: str
    stored_ms: float
    answered_ms: float
    entered: tuple[str, ...]
    left: tuple[str, ...]
    moved: dict[str, int]


def compare(before: Slate, after: Slate) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, int]]:
    """Return (entered, left, moved), as in `Happening`, between two slates of one shopper."""
    sides = ([item.item_id for item in slate.items] for slate in (before, after))
    return compare_ids(*sides)


def compare_ids(
    before: Sequence[str], after: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, int]]:
    """Return (entered, left, moved), as in `Happening`, between two lists of items, best first."""
    old, new = ({item_id: n for n, item_id in enumerate(ids)} for ids in (before, after))
    return (
        tuple(i for i in new if i not in old),
        tuple(i for i in old if i not in new),
        {i: old[i] - rank for i, rank in new.items() if i in old and old[i] != rank},
    )


class Memory:
    """The newest happenings of this process, so that a page can tell them after a redirect.

    Nothing depends on it: another worker, or a restart, only leaves the strip out.
    """

    LIMIT: Final = 500

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Happening] = OrderedDict()
        self._lock = Lock()

    def keep(self, happening: Happening) -> None:
        """Remember one, and forget the oldest beyond `LIMIT`."""
        with self._lock:
            self._kept.setdefault(happening.event_id, happening)
            if len(self._kept) > self.LIMIT:
                self._kept.popitem(last=False)

    def recall(self, event_id: str, actor: str) -> Happening | None:
        """Return what came of an event of `actor`, if this process saw it lately."""
        with self._lock:
            found = self._kept.get(event_id)
        return found if found and found.actor == actor else None

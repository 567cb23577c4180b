"""What one shopper did, newest first, grouped as a person would tell it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from endcap.recommend.state import History

GAP_MICROS: Final = 30 * 60 * 1_000_000
"""Events closer than this belong to one visit."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One item met in a visit."""

    item_id: str
    kind: str
    time: int
    times_done: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Visit:
    """A basket, or a stroll: what was done within one stretch of time, newest first.

    Attributes
    ----------
    time
        The newest event, UTC microseconds.
    deeds
        One for each (kind, item).
    """

    time: int
    deeds: tuple[Deed, ...]

    @property
    def bought(self) -> int:
        """How many of the deeds are purchases."""
        return sum(deed.kind == "purchase" for deed in self.deeds)


def visits(history: History, facts: Mapping[str, Mapping[str, Any]]) -> list[Visit]:
    """Group a history (oldest first) into visits, newest first.

    Parameters
    ----------
    facts
        What is known of the items: ``{item_id: {"title": …}}``.
    """
    out: list[Visit] = []
    deeds: dict[tuple[str, str], Deed] = {}
    newest = 0
    for row in reversed(range(len(history.item_ids))):
        item_id, kind, time = history.item_ids[row], history.kinds[row], int(history.times[row])
        if deeds and min(deed.time for deed in deeds.values()) - time > GAP_MICROS:
            out.append(Visit(newest, tuple(deeds.values())))
            deeds = {}
        if not deeds:
            newest = time
        known = deeds.pop((kind, item_id), None)
        deed = Deed(
            item_id, kind, time, known.times_done + 1 if known else 1, facts.get(item_id, {})
        )
        deeds[kind, item_id] = deed
    return [*out, Visit(newest, tuple(deeds.values()))] if deeds else out

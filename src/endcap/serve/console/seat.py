"""Everything the shopper's seat shows, read at one moment."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any, Final

from endcap.recommend.slate import Request, Slate
from endcap.schema.actors import actor as actor_of
from endcap.serve.console.backend import Backend
from endcap.serve.console.cards import Card, Facts, cards
from endcap.serve.console.changes import Happening
from endcap.serve.console.directory import Directory
from endcap.serve.console.evidence import Evidence, LongTail, evidence, long_tail
from endcap.serve.console.history import Visit, visits
from endcap.serve.console.i18n import Words

K: Final = 12
K_LIKE: Final = 5
MAX_EVENTS: Final = 400
"""Events of a long history that the page draws; the model reads them all."""


@dataclass(frozen=True, slots=True)
class Who:
    """Whose seat it is: an account, or a visitor known by a browser's id only."""

    user_id: str | None = None
    visitor_id: str | None = None

    @property
    def actor(self) -> str | None:
        """The id under which preferences are kept; None while nobody is chosen."""
        return actor_of(self.user_id, self.visitor_id)

    @property
    def name(self) -> str:
        """The id as the page shows it."""
        return self.user_id or self.visitor_id or ""

    @property
    def hue(self) -> int:
        """A colour number for the portrait."""
        return hashlib.blake2b(self.name.encode("utf-8", "replace"), digest_size=1).digest()[0] % 12

    @property
    def query(self) -> dict[str, str]:
        """The parameters that name this shopper in an address."""
        if self.user_id:
            return {"user": self.user_id}
        return {"visitor": self.visitor_id} if self.visitor_id else {}


@dataclass(frozen=True, slots=True)
class Seat:
    """One shopper's page.

    Attributes
    ----------
    events, since
        How many item events the history holds, and the time of the first (UTC microseconds).
    answered_ms
        How long the slate took.
    like, alike
        The item id of "more like this", and its cards.
    """

    who: Who
    visits: tuple[Visit, ...]
    events: int
    distinct: int
    since: int
    slate: Slate
    cards: tuple[Card, ...]
    answered_ms: float
    evidence: Evidence
    tail: LongTail
    facts: Mapping[str, Facts]
    happening: Happening | None = None
    like: str = ""
    alike: tuple[Card, ...] = ()


def ask(backend: Backend, who: Who) -> tuple[Slate, float]:
    """Return the shopper's slate and the milliseconds it took."""
    start = perf_counter()
    slate = backend.recommend(Request(user_id=who.user_id, visitor_id=who.visitor_id, k=K))
    return slate, 1000 * (perf_counter() - start)


def seat(
    backend: Backend,
    directory: Directory,
    who: Who,
    words: Words,
    *,
    like: str = "",
    happening: Happening | None = None,
) -> Seat:
    """Read history, slate and reasons of one shopper."""
    history = backend.state.history(who.actor or "")
    slate, answered_ms = ask(backend, who)
    alike = backend.recommend(_likeness(who, like)) if like else None
    named = {*history.item_ids, *_named(slate), *((like,) if like else ())}
    named |= _named(alike) if alike else set()
    named |= {happening.item_id, *happening.left, *happening.entered} if happening else set()
    facts = backend.state.facts(sorted(named))
    return Seat(
        who,
        tuple(visits(_newest(history), facts)),
        len(history.item_ids),
        len(set(history.item_ids)),
        int(history.times[0]) if len(history.times) else 0,
        slate,
        cards(slate, words, facts, happening),
        answered_ms,
        evidence(slate),
        long_tail(directory.census().sold, [item.item_id for item in slate.items]),
        facts,
        happening,
        like,
        cards(alike, words, facts) if alike else (),
    )


def as_json(seat: Seat) -> dict[str, Any]:
    """Return the seat as plain values: what the page shows, without its looks."""
    plain: dict[str, Any] = finite(
        {
            "shopper": {**asdict(seat.who), "events": seat.events, "items": seat.distinct},
            "visits": [
                {
                    "time": visit.time,
                    "deeds": [
                        {
                            "item_id": deed.item_id,
                            "kind": deed.kind,
                            "time": deed.time,
                            "times_done": deed.times_done,
                            "title": deed.facts.get("title"),
                        }
                        for deed in visit.deeds
                    ],
                }
                for visit in seat.visits
            ],
            "slate": seat.slate.plain(),
            "like": {"item_id": seat.like, "items": [c.product.item_id for c in seat.alike]},
            "evidence": asdict(seat.evidence),
            "happening": asdict(seat.happening) if seat.happening else None,
        }
    )
    return plain


def finite(value: Any) -> Any:
    """Return `value` with every NaN and infinity as None: JSON has neither."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _likeness(who: Who, like: str) -> Request:
    return Request(
        user_id=who.user_id,
        visitor_id=who.visitor_id,
        placement="similar",
        k=K_LIKE,
        context_items=(like,),
    )


def _named(slate: Slate) -> set[str]:
    return {item.item_id for item in slate.items} | set(slate.sources)


def _newest(history: Any) -> Any:
    if len(history.item_ids) <= MAX_EVENTS:
        return history
    return type(history)(*(column[-MAX_EVENTS:] for column in history))

"""How soon what is written shows: measured from outside, as a stranger.

Whatever a probe writes is its own: visitors and items that carry its name, in a domain of their
own. Its items are deleted when it ends, and expire by themselves if it cannot; training leaves its
visitors out. It reads slates for nobody in particular, or of its own items alone.
"""

import math
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from endcap.client.answers import Slate
from endcap.client.asks import Event, EventFields
from endcap.client.client import Client
from endcap.schema.actors import PROBE
from endcap.schema.errors import DataError

LIFE: Final = timedelta(minutes=2)
"""After which a probe's item is not shown any more, were nobody there to delete it."""
PEOPLE: Final = 3
"""Shoppers who must take a pair before it counts (`endcap.models.live`)."""
DRAWS: Final = 20
"""Pairs looked at, to find one that nothing says goes together."""
KNOWN: Final = 1_000
"""Items that pairs are drawn from."""
CROWD: Final = frozenset({"popular", "trending", "given"})
"""What speaks for an item beside one that it does not go with."""
K: Final = 50
SAID: Final[tuple[str, ...]] = ("title", "brand", "categories")
"""What the new item has from what it is like."""
Open = Callable[[], Client]


class Stopped(Exception):
    """A probe was told to stop; what it wrote is gone."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing written, and how long after it began to be sent it showed.

    Attributes
    ----------
    what
        ``self``, ``others``, ``new-item`` or ``withdrawn-item``.
    seconds
        Up to the end of the first answer that shows it; None where none did in time.
    answers
        How many were asked for.
    """

    what: str
    seconds: float | None
    answers: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Measures a server once for each call of `run`.

    Attributes
    ----------
    open
        Makes a client; each answer is asked over a connection of its own, so that every worker
        and every replica behind the address has its turn.
    others
        Whether to measure what others see: what goes with an item when three strangers looked at it
        and at another one, both drawn anew. Their six views are counted as those of shoppers until
        they fade.
    like
        An item of the shop that the new item is described as; None takes what is shown first.
    timeout_s
        When to give up waiting for an effect.
    end
        Once it is set, `run` waits for nothing any more and raises `Stopped`.
    """

    open: Open
    others: bool = False
    like: str | None = None
    timeout_s: float = 10.0
    end: threading.Event = field(default_factory=threading.Event)

    def sweep(self) -> int:
        """Delete what probes left that were killed, once it has expired; return how many items."""
        gone = 0
        with self.open() as client:
            for item in client.items_after(f"{PROBE}-"):
                if not item.item_id.startswith(f"{PROBE}-"):
                    break
                if item.expires and item.expires < datetime.now(UTC):
                    gone += client.delete_item(item.item_id)
        return gone

    def run(self) -> list[Effect]:
        """Measure.

        Raises
        ------
        Refused
            When the server does not answer, or takes no writes with this key.
        DataError
            When the shop has no item to liken a new one to.
        Stopped
            When `end` is set.
        """
        token = secrets.token_hex(4)
        mine, item = f"{PROBE}-{token}", f"{PROBE}-{token}-item"
        with self.open() as client, self._own(client, item):
            model = self._model(client)
            found = [self._new(client, item, model), self._self(client, mine, item)]
            if self.others:
                found.append(self._others(client, mine))
            return [*found, self._withdrawn(client, item)]

    @contextmanager
    def _own(self, client: Client, item: str) -> Iterator[None]:
        try:
            yield
        finally:
            client.delete_item(item)

    def _model(self, client: Client) -> dict[str, Any]:
        """Return the id and the description of the item that the new one is to be like."""
        shown = client.similar(self.like, k=1) if self.like else client.recommend(k=1)
        if not self.like and not shown.items:
            raise DataError("The shop shows nothing yet.", hint="Add items: endcap import.")
        like = self.like or shown.items[0].item_id
        ask = client.recommend(k=1, rank=[like])
        said = ask.items[0].properties if ask.items else {}
        kept = {name: said[name] for name in SAID if name in said}
        return {"item_id": like, "title": f"probe of {like}", **kept}

    def _new(self, client: Client, item: str, model: dict[str, Any]) -> Effect:
        """Post an item; a stranger who looks at what it is like should get it."""
        about = {"domain": PROBE, "expires": datetime.now(UTC) + LIFE}
        about |= {"created": datetime(1970, 1, 1, tzinfo=UTC)}  # last where newest comes first

        def ask(stranger: Client) -> bool:
            slate = stranger.recommend(k=K, context_items=[model["item_id"]])
            return slate.served_by != "catalogue" and _has(slate, item)

        return self._timed(
            "new-item", lambda: client.put_items([{**model, **about, "item_id": item}]), ask
        )

    def _self(self, client: Client, visitor: str, item: str) -> Effect:
        """Dismiss an item; it should be gone for who did."""

        def ask(stranger: Client) -> bool:
            return not _has(stranger.recommend(visitor_id=visitor, k=1, rank=[item]), item)

        event: EventFields = {"visitor_id": visitor, "item_id": item, "domain": PROBE}
        return self._timed("self", lambda: client.track("dismiss", **event), ask)

    def _others(self, client: Client, mine: str) -> Effect:
        """Let three visitors look at two items; then something speaks for the second beside it.

        The second alone is asked about. Its place among all would often stay what it was: six
        views are little beside what many shoppers did, and most pairs are far from the first 50.
        """
        first, second, before = self._apart(client)
        views: list[Event] = [
            {"kind": "view", "visitor_id": f"{mine}-{n}", "item_id": item, "domain": PROBE}
            for n in range(PEOPLE)
            for item in (first, second)
        ]

        def ask(stranger: Client) -> bool:
            slate = _beside(stranger, first, second)
            return slate.served_by != "catalogue" and _said(slate) != before

        return self._timed("others", lambda: client.events(views), ask)

    def _apart(self, client: Client) -> tuple[str, str, tuple[object, ...]]:
        """Return two items that do not go together, and what is said of the second by the first.

        Where the crowd's word is a part of every score, the lowest has no other part.
        """
        known = [i for i in client.item_ids(limit=KNOWN) if not i.startswith(PROBE)]
        if len(known) < 2:
            raise DataError("The shop has no two items.", hint="Add items: endcap import.")
        least: tuple[float, str, str, tuple[object, ...]] | None = None
        for _ in range(DRAWS):
            first, second = random.sample(known, 2)
            slate = _beside(client, first, second)
            if slate.items and slate.items[0].source in CROWD:
                return first, second, _said(slate)
            score = slate.items[0].score or 0.0 if slate.items else math.inf
            if least is None or score < least[0]:
                least = score, first, second, _said(slate)
        assert least is not None
        return least[1:]

    def _withdrawn(self, client: Client, item: str) -> Effect:
        """Delete an item; nobody should get it any more."""
        return self._timed(
            "withdrawn-item",
            lambda: client.delete_item(item),
            lambda stranger: not _has(stranger.recommend(k=1, rank=[item]), item),
        )

    def _timed(
        self, what: str, write: Callable[[], object], shows: Callable[[Client], bool]
    ) -> Effect:
        answers = 0
        began = time.perf_counter()
        write()
        while time.perf_counter() - began < self.timeout_s:
            if self.end.is_set():
                raise Stopped
            with self.open() as stranger:
                answers += 1
                if shows(stranger):
                    return Effect(what, time.perf_counter() - began, answers)
        return Effect(what, None, answers)


def summary(runs: Iterable[Iterable[Effect]]) -> dict[str, dict[str, float]]:
    """Return, for each thing measured: `probes`, `missed`, and `p50_ms` and `p99_ms` of the rest.

    The quantiles are times that were measured (the nearest rank), none between two of them.
    """
    took: dict[str, list[float | None]] = {}
    for effects in runs:
        for effect in effects:
            took.setdefault(effect.what, []).append(effect.seconds)
    return {what: _figures(times) for what, times in took.items()}


def _figures(times: list[float | None]) -> dict[str, float]:
    seen = sorted(time for time in times if time is not None)
    figures: dict[str, float] = {"probes": len(times), "missed": len(times) - len(seen)}
    for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99)):
        if seen:
            figures[name] = round(seen[math.ceil(share * len(seen)) - 1] * 1e3, 1)
    return figures


def _has(slate: Slate, item: str) -> bool:
    return any(one.item_id == item for one in slate.items)


def _beside(client: Client, first: str, second: str) -> Slate:
    return client.recommend(placement="similar", context_items=[first], rank=[second], k=1)


def _said(slate: Slate) -> tuple[object, ...]:
    """Return which models spoke, as far as an answer shows it."""
    scores = tuple((item.source, round(item.score or 0.0, 3)) for item in slate.items)
    return slate.served_by, scores

"""How soon what is written shows: measured from outside, as a stranger.

Whatever a probe writes is its own: visitors and items that carry its name, in a domain of their
own. Its items are deleted when it ends, and expire by themselves if it cannot; training leaves its
visitors out. It reads slates for nobody in particular, or of its own items alone.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from endcap.client.answers import Slate
from endcap.client.client import Client
from endcap.schema.actors import PROBE
from endcap.schema.errors import DataError

LIFE: Final = timedelta(minutes=2)
"""After which a probe's item is not shown any more, were nobody there to delete it."""
PEOPLE: Final = 3
"""Shoppers who must take a pair before it counts (`endcap.models.live`)."""
K: Final = 50
SAID: Final[tuple[str, ...]] = ("title", "brand", "categories")
"""What the new item has from what it is like."""
Open = Callable[[], Client]


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
    pair
        Two items of the shop: what goes with the first when three strangers looked at both. Their
        six views are counted as those of shoppers until they fade.
    like
        An item of the shop that the new item is described as; None takes what is shown first.
    timeout_s
        When to give up waiting for an effect.
    """

    open: Open
    pair: tuple[str, str] | None = None
    like: str | None = None
    timeout_s: float = 10.0

    def run(self) -> list[Effect]:
        """Measure.

        Raises
        ------
        Refused
            When the server does not answer, or takes no writes with this key.
        DataError
            When the shop has no item to liken a new one to.
        """
        token = secrets.token_hex(4)
        mine, item = f"{PROBE}-{token}", f"{PROBE}-{token}-item"
        with self.open() as client, self._own(client, item):
            model = self._model(client)
            found = [self._new(client, item, model), self._self(client, mine, item)]
            if self.pair:
                found.append(self._others(client, mine, *self.pair))
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

        event = {"visitor_id": visitor, "item_id": item, "domain": PROBE}
        return self._timed("self", lambda: client.track("dismiss", **event), ask)

    def _others(self, client: Client, mine: str, first: str, second: str) -> Effect:
        """Let three visitors look at two items; the second should rise beside the first."""
        before = _place(client.similar(first, k=K), second)
        views = [
            {"kind": "view", "visitor_id": f"{mine}-{n}", "item_id": item, "domain": PROBE}
            for n in range(PEOPLE)
            for item in (first, second)
        ]

        def ask(stranger: Client) -> bool:
            return _place(stranger.similar(first, k=K), second) < before

        return self._timed("others", lambda: client.events(views), ask)

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
            with self.open() as stranger:
                answers += 1
                if shows(stranger):
                    return Effect(what, time.perf_counter() - began, answers)
        return Effect(what, None, answers)


def _has(slate: Slate, item: str) -> bool:
    return any(one.item_id == item for one in slate.items)


def _place(slate: Slate, item: str) -> int:
    """Return the rank of an item, `K` + 1 where it is not there."""
    return next((one.rank for one in slate.items if one.item_id == item), K + 1)

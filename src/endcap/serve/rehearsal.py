"""Slates asked for before anybody else asks: what is made on first use is there then."""

from collections.abc import Mapping
from typing import Any, Final

import structlog

from endcap.recommend import composing
from endcap.recommend.filters.spot import NOWHERE, Spot
from endcap.recommend.recipe import Placement
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request
from endcap.recommend.state import History, State, moment_us
from endcap.schema.errors import EndcapError
from endcap.serve.state import LiveState

SOMEBODY: Final = "endcap-rehearsal"
DID: Final = ("view", "view", "cart", "purchase")
MINUTE_US: Final = 60_000_000
RANKED: Final = 5
log = structlog.get_logger(__name__)


def rehearse(recommender: Recommender, live: LiveState) -> None:
    """Have every place of a recommender answer as strangers and shoppers will ask it.

    A place asks a level only where those before it leave something open, so each level is asked by
    itself, too. Nothing is read of anybody and nothing is written. What cannot be answered is said
    and hinders nobody else: a condition that does not fit the catalogue is its place's trouble.
    """
    composing.warm()
    item_ids = _items(recommender, live)
    state: Any = _Rehearsal(live, item_ids[: len(DID)])  # what it does not say `live` says
    page = item_ids[len(DID) : len(DID) + 1]
    ranked = item_ids[len(DID) + 1 :]
    for name in recommender.placements:
        for more in ({}, {"context_items": page}, {"user_id": SOMEBODY, "rank": ranked}):
            _ask(recommender, Request(placement=name, **more), state)
    apart = _apart(recommender.placements)
    alone = recommender.placed(apart)
    for name in apart:
        _ask(alone, Request(placement=name, user_id=SOMEBODY, context_items=page), state)


def _ask(recommender: Recommender, request: Request, state: State) -> None:
    try:
        recommender.recommend([request], state)
    except EndcapError as error:
        log.warning("a place cannot answer", placement=request.placement, error=str(error))


def _items(recommender: Recommender, live: LiveState) -> tuple[str, ...]:
    """Return a few items: those the models know, where there are any."""
    most = len(DID) + 1 + RANKED
    if recommender.loaded is None:
        return tuple(live.item_ids()[:most])
    return tuple(recommender.loaded.items.array[:most].to_pylist())


def _apart(placements: Mapping[str, Placement]) -> dict[str, Placement]:
    """Return a place for each level, of those that are alike one."""
    return {
        level.model_dump_json(exclude={"name"}): place.model_copy(update={"levels": (level,)})
        for place in placements.values()
        for level in place.levels
    }


class _Rehearsal:
    """The world, in which everybody did the same with a few items."""

    def __init__(self, live: LiveState, item_ids: tuple[str, ...]) -> None:
        self._live = live
        now = moment_us(live.now)
        self._history = History.of(
            [
                (item_id, kind, now - back * MINUTE_US, float("nan"))
                for back, (item_id, kind) in enumerate(zip(item_ids, DID, strict=False), start=1)
            ]
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._live, name)

    def history(self, actor: str) -> History:
        return self._history

    def shown_to(self, actor: str, since: int = 0) -> Mapping[str, int]:
        return {}

    def whereabouts(self, actor: str) -> Spot:
        return NOWHERE

"""One request being answered: its placement's levels fill a shelf, under filters, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from endcap.prepare.vocabulary import UNKNOWN
from endcap.recommend.artefacts import Artefact
from endcap.recommend.chain import Question, descend
from endcap.recommend.evidence import Moment
from endcap.recommend.filters.expression import Bools
from endcap.recommend.filters.world import World
from endcap.recommend.newcomers import Fresh
from endcap.recommend.places.past import past_picks
from endcap.recommend.places.variants import Variants
from endcap.recommend.recipe import Level, Placement
from endcap.recommend.screen import Screen
from endcap.recommend.shelf import Pick, Shelf
from endcap.recommend.slate import Request
from endcap.recommend.standing_in import StandIns
from endcap.recommend.state import History, State

CATALOGUE: Final = "catalogue"
GIVEN: Final = "given"


@dataclass(slots=True)
class Answering:
    """What is asked, by whom and of whom; it belongs to one call and ends with it.

    Attributes
    ----------
    artefact
        The models; None leaves the shopper's past and the catalogue.
    history, who
        The shopper, an empty history and None for a stranger.
    now
        UTC microseconds.
    here
        Where the shopper is; see `World`.
    screen
        What the placement and the request let through.
    variants
        What is a variant of what, where only one of each product is wanted.
    """

    artefact: Artefact | None
    placement: Placement
    request: Request
    state: State
    history: History
    who: str | None
    now: int
    here: Mapping[str, float]
    screen: Screen
    variants: Variants | None = None
    _world: World | None = field(default=None, init=False)
    _moment: Moment | None = field(default=None, init=False)

    @property
    def world(self) -> World:
        """What conditions may ask of the shopper and the page."""
        if self._world is None:
            context = self.request.context_items
            self._world = World.of(self.state.columns, self.history, context, self.now, self.here)
        return self._world

    def fill(self, shelf: Shelf, mask: Bools | None = None) -> None:
        """Put on a shelf what is missing, of the items that meet `mask` (catalogue rows)."""
        screen = self.screen if mask is None else self.screen.narrowed(self.state.columns, mask)
        question: Question | None = None
        for level in self.placement.levels:
            if shelf.missing <= 0:
                return
            own = level.filter or level.boost
            part = screen.of_level(level, self.state.columns, self.world) if own else screen
            if level.past is not None:
                shelf.put(level.name, self._known(level, part))
            elif self.artefact is not None:
                if own or question is None:
                    asked = self._question(self.artefact, part)
                    question = question if own else asked
                else:
                    asked = question
                descend(self.artefact, level, asked, shelf)
        if shelf.missing > 0:
            self._rest(shelf, screen)

    def _rest(self, shelf: Shelf, screen: Screen) -> None:
        """Put what no level could find: what was given, or the catalogue, newest first."""
        if self.request.rank:
            ids = screen.ids(self.state.on_shelf(self.request.rank, self.now))
            shelf.put(GIVEN, (Pick(i, 0.0, GIVEN, level=GIVEN) for i in ids))
        elif self.placement.fill:
            newest = screen.each(self.state.available_ids(self.now))
            shelf.put(CATALOGUE, (Pick(i, 0.0, CATALOGUE, level=CATALOGUE) for i in newest))

    def _known(self, level: Level, screen: Screen) -> list[Pick]:
        assert level.past is not None
        picks = past_picks(level.past, self.history, self.now, self.state.columns, level.name)
        ids = [pick.item_id for pick in picks]
        may = set(screen.ids(self.state.on_shelf(ids, self.now)))
        if self.request.rank:
            may &= set(self.request.rank)
        return [pick for pick in picks if pick.item_id in may]

    def _question(self, artefact: Artefact, screen: Screen) -> Question:
        words = artefact.items
        available = self.state.available_rows(words, self.now)
        if self.variants is not None:
            available = self.variants.with_sold_out(words, available)
        allowed = screen.rows(words, available)
        if self.request.rank:
            given = words.places(self.request.rank)
            allowed = np.intersect1d(allowed, given).astype(np.int32)
        new = self.state.newcomers(words)
        if self._moment is None:
            self._moment = Moment.of(
                self.history,
                self.request.context_items,
                self.now,
                words,
                artefact.users.row(self.who) if self.who else UNKNOWN,
            )
            if new.num_rows and (self._moment.rows < 0).any():
                told = StandIns(words, new, artefact.described, self.state.live)
                self._moment = self._moment.standing_in(told)
        return Question(
            self._moment,
            None if len(allowed) == len(words) else allowed,
            self.request.seed,
            artefact.weigh,
            screen.boosts(words),
            self.state.live,
            self._fresh(new, screen),
        )

    def _fresh(self, new: pa.Table, screen: Screen) -> Fresh | None:
        if not new.num_rows:
            return None
        given = set(self.request.rank)

        def shown(ids: Sequence[str]) -> Sequence[str]:
            wanted = [i for i in ids if i in given] if given else ids
            return screen.ids(self.state.on_shelf(wanted, self.now))

        return Fresh(new, shown, screen.boosts_of)

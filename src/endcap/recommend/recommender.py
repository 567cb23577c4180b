"""The wired pipeline: requests in, slates out; it always answers."""

import hashlib
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import nan
from pathlib import Path
from typing import Any, NamedTuple, Self

import structlog

from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.answering import Answering
from endcap.recommend.artefacts import Artefact, load_serving
from endcap.recommend.composing import OBJECTIVE, WIDTH, apply_rules, depth, forecast, told
from endcap.recommend.evidence import seen
from endcap.recommend.filters.spot import NOWHERE, Spot
from endcap.recommend.places.needs import alike, is_about, met
from endcap.recommend.places.variants import Variants
from endcap.recommend.recipe import HOME, SIMILAR, Placement, Recipe, load_recipe
from endcap.recommend.screen import Screen
from endcap.recommend.shelf import Pick, Shelf, explained
from endcap.recommend.slate import Request, Slate, SlateItem
from endcap.recommend.slates.compose import Effect
from endcap.recommend.state import History, State
from endcap.recommend.whereabouts import asks_account, here
from endcap.schema.actors import actor
from endcap.schema.errors import EndcapError, nearest
from endcap.schema.stages import stage

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NO_HISTORY = History.of([])
NOTHING: dict[str, Any] = {}
log = structlog.get_logger(__name__)


class Asked(NamedTuple):
    """What answering a request asks of a state that may have to be read.

    Attributes
    ----------
    who
        Whose history.
    words
        Those that newcomers are not among; None where nobody asks about newcomers.
    shown
        Whether it matters what they were shown.
    where
        Whether it matters where their account says they are.
    """

    who: str | None
    words: Vocabulary | None
    shown: bool
    where: bool


class Recommender:
    """Answers requests from one artefact and the state of the world.

    Immutable and safe to share between threads: to swap models, load another one and replace the
    reference; a request is answered by exactly one artefact.

    Parameters
    ----------
    artefact
        The models that answer; None leaves the catalogue alone to answer.
    trouble
        Why this is not the artefact that was asked for; it degrades every answer. Empty when all
        is well.

    Attributes
    ----------
    artefact
        Id of the artefact that answers; empty when none could be loaded.
    trouble
        As given.
    recipe
        What the artefact was trained from.
    placements
        What the places of the shop do: those of the recipe, as far as no others were given.

    Stability: caller.
    """

    def __init__(self, artefact: Artefact | None = None, *, trouble: str = "") -> None:
        self.artefact = artefact.id if artefact else ""
        self.trouble = trouble
        self.recipe: Recipe = artefact.recipe if artefact else load_recipe()
        self.placements: Mapping[str, Placement] = self.recipe.placements
        self._loaded = artefact

    @property
    def loaded(self) -> Artefact | None:
        """The artefact that answers; None where the catalogue alone does."""
        return self._loaded

    def placed(self, placements: Mapping[str, Placement]) -> Self:
        """Return a recommender with the same models whose places do what `placements` say.

        Those of the recipe that are not named stay as they are.
        """
        other = type(self)(self._loaded, trouble=self.trouble)
        other.placements = {**self.recipe.placements, **placements}
        return other

    def alone(self, trouble: str) -> Self:
        """Return a recommender whose places do the same without any model: the catalogue answers.

        It costs microseconds to make and a few looks at the catalogue to ask: this is what is left
        when there is no time.
        """
        other = copy(self)
        other.artefact, other.trouble, other._loaded = "", trouble, None
        return other

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load what ``<folder>/models/current`` points to.

        A damaged artefact is refused, and the newest sound one answers instead (`trouble` says
        so); with none at all, the catalogue answers. It never raises for the sake of a model.
        """
        artefact, trouble = load_serving(folder)
        return cls(artefact, trouble=trouble)

    def recommend(self, requests: Sequence[Request], state: State) -> list[Slate]:
        """Return one slate for each request, in their order.

        Deterministic for (request, state): a batch gives what single calls give, bit for bit.
        Unknown users, items and placements are answered, by a fallback that `served_by` names.

        Raises
        ------
        FilterError
            When the filter or boost of a request does not fit the catalogue.
        """
        # One by one: sums of a batched product may differ in their last bit from a single one's,
        # and then an answer could not be replayed.
        return [self._answer(request, state) for request in requests]

    def asks(self, request: Request) -> Asked:
        """Return what answering a request will ask of a state that may have to be read."""
        placement = self.placements.get(request.placement, self.placements[HOME])
        places = [placement]
        if placement.closed and placement.closed.then in self.placements:
            places.append(self.placements[placement.closed.then])
        who = actor(request.user_id, request.visitor_id)
        return Asked(
            who,
            self._loaded.items if self._loaded else None,
            any(place.rules.fatigue.asked for place in places),
            who is not None and any(asks_account(place, request) for place in places),
        )

    def similar(self, item_id: str, k: int, state: State) -> Slate:
        """Return the slate of the placement ``similar`` for one item."""
        request = Request(placement=SIMILAR, context_items=(item_id,), k=k)
        return self.recommend([request], state)[0]

    def _answer(self, request: Request, state: State) -> Slate:
        moment = request.now or state.now
        now = _micros(moment)
        placement, notes = self._placement(request.placement)
        who = actor(request.user_id, request.visitor_id)
        with stage("history"):
            history = self._history(who, state, notes)
        closed = placement.closed
        needs = met(closed, history, now, self._loaded) if closed else []
        placement, answered_as = self._handed_over(placement, request.context_items, needs, state)
        rules = placement.rules
        taken = seen(history, placement.hide, now) | {*request.exclude, *request.context_items}
        if who and rules.fatigue.cap is not None:
            shown = state.shown_to(who, rules.fatigue.since(now))
            taken |= {i for i, n in shown.items() if n >= rules.fatigue.cap}
        k = min(request.k, len(request.rank)) if request.rank else request.k
        shelf = Shelf(k, taken, notes=notes, depth=depth(rules, k))
        account = NOWHERE
        if who and asks_account(placement, request):
            account = self._whereabouts(who, state, notes)
        where = here(request, account)
        screen = Screen.of(placement, request, state, history, now, where)
        if closed and needs and closed.factor < 1:
            screen = screen.weighing(
                state.columns, alike(closed, needs, state.columns), closed.factor
            )
        variants = None
        if placement.variants == "one":
            variants = Variants.of(state.columns, lambda ids: state.on_shelf(screen.ids(ids), now))
        if variants is not None:
            shelf.depth, shelf.sift = max(shelf.depth, WIDTH * k), variants.one_each
            screen = screen.narrowed(state.columns, variants.others(taken))
        asked = Answering(
            self._loaded, placement, request, state, history, who, now, where, screen, variants
        )
        asked.fill(shelf)
        if rules.idle:
            shelf.picks = shelf.picks[:k]
        effects: tuple[Effect, ...] = ()
        cost = nan
        chances = self._loaded.chances if self._loaded else None
        with stage("compose"):
            if shelf.depth and not rules.idle:
                composed = apply_rules(
                    rules, shelf, request, state, asked.world, chances, who=who, fill=asked.fill
                )
                shelf.picks, effects, cost = composed
            elif rules.objective is not None:
                valued = forecast(rules, shelf.picks, chances, state.columns)
                shelf.picks = told(shelf.picks, valued)
            slate = self._slate(request, state, shelf, moment)
        followed = any(effect.name == OBJECTIVE and effect.met for effect in effects)
        return replace(
            slate,
            answered_as=answered_as,
            rules=effects,
            cost=cost,
            objective=rules.objective.weights if rules.objective and followed else {},
        )

    def _handed_over(
        self, placement: Placement, page: tuple[str, ...], needs: Sequence[str], state: State
    ) -> tuple[Placement, str]:
        """Return the placement that answers instead where the need of the page is met."""
        closed = placement.closed
        if closed is None or closed.then not in self.placements or not needs or not page:
            return placement, ""
        about = is_about(closed, needs, page, state.columns)
        return (self.placements[closed.then], closed.then) if about else (placement, "")

    def _placement(self, name: str) -> tuple[Placement, list[str]]:
        notes = [self.trouble] if self.trouble else []
        known = self.placements
        if name not in known:
            notes.append(f"no placement {name!r}, answered as {HOME!r}. {nearest(name, known)}")
        return known.get(name, known[HOME]), notes

    def _history(self, who: str | None, state: State, notes: list[str]) -> History:
        try:
            return state.history(who).settled() if who else NO_HISTORY
        except EndcapError as error:  # a broken store must not empty the shelf
            log.error("history unavailable", error=str(error))
            notes.append("the shopper's history cannot be read")
            return NO_HISTORY

    def _whereabouts(self, who: str, state: State, notes: list[str]) -> Spot:
        try:
            return state.whereabouts(who)
        except EndcapError as error:
            log.error("whereabouts unavailable", error=str(error))
            notes.append("where the shopper's account says they are cannot be read")
            return NOWHERE

    def _slate(self, request: Request, state: State, shelf: Shelf, moment: datetime) -> Slate:
        picks, reasons = shelf.picks, explained(shelf.picks)
        facts = state.facts([pick.item_id for pick in picks])
        return Slate(
            request_id=request.request_id or _derived_id(request, self.artefact, moment),
            placement=request.placement,
            items=tuple(
                SlateItem(
                    pick.item_id,
                    rank,
                    pick.score,
                    pick.source,
                    why,
                    _told(facts.get(pick.item_id, NOTHING), pick),
                    pick.expected,
                    pick.explored,
                    pick.propensity,
                )
                for rank, (pick, why) in enumerate(zip(picks, reasons, strict=True), start=1)
            ),
            served_by=shelf.served_by,
            artefact=self.artefact,
            generated_at=moment,
            degraded=bool(shelf.notes),
            reason="; ".join(shelf.notes),
        )


def _told(facts: dict[str, Any], pick: Pick) -> dict[str, Any]:
    """Return facts, and the day of the next need where one is foreseen; the facts are shared."""
    if not pick.due:
        return facts
    return {**facts, "due": (EPOCH + pick.due * MICROSECOND).date().isoformat()}


def _derived_id(request: Request, artefact: str, moment: datetime) -> str:
    """Name an answer by what it answered, so that asking again the same gives the same."""
    told = f"{request.model_dump_json()}|{artefact}|{moment.isoformat()}"
    return hashlib.sha256(told.encode()).hexdigest()[:24]


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND

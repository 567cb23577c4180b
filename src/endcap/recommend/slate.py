"""What is asked for a place in the shop, and what is answered."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from math import isnan, nan
from typing import Any, Self, cast

import msgspec
import pydantic

from endcap.recommend.filters.expression import understood
from endcap.recommend.slates.compose import Effect
from endcap.schema.strict import Strict


class Request(Strict):
    """One question: what to show this shopper in this place now.

    Attributes
    ----------
    user_id, visitor_id
        Who asks, in the shop's own ids; both may be missing.
    placement
        The place, which names a pipeline.
    k
        How many items.
    context_items
        What the page is about (the product looked at, the cart).
    exclude
        Item ids that must not come.
    rank
        Only these items, in the best order; what no model speaks for comes last, as it was given.
        Empty: anything.
    filter
        A condition on items (see `recommend.filters`), beside that of the placement; empty: none.
    boost
        A factor for scores, times that of the placement; empty: none.
    seed
        Breaks ties and drives exploration: same request, state and seed, same slate.
    now
        The moment of asking; None is the state's clock.
    request_id
        Names the answer in impressions and replays; empty lets the recommender derive one.
    lat, lon
        Where the shopper is, degrees north and east, as their device says; None where it does not.
    vouched
        Whether who asks is who they say: else it does not matter where the account says they are.
    prices
        Whether the slate says what each rule of its placement costs; that takes a slate more for
        each rule.
    """

    user_id: str | None = None
    visitor_id: str | None = None
    placement: str = "home"
    k: int = pydantic.Field(default=10, ge=0)
    context_items: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rank: tuple[str, ...] = ()
    filter: str = ""
    boost: str = ""
    seed: int = 0
    now: pydantic.AwareDatetime | None = None
    request_id: str = ""
    lat: float | None = pydantic.Field(default=None, ge=-90, le=90, allow_inf_nan=False)
    lon: float | None = pydantic.Field(default=None, ge=-180, le=180, allow_inf_nan=False)
    vouched: bool = True
    prices: bool = False

    @pydantic.model_validator(mode="after")
    def _is_understood(self) -> Self:
        understood(self.filter, self.boost)
        return self


class Step(msgspec.Struct, frozen=True, gc=False):
    """One step of the path that leads from a past item to a recommended one.

    Attributes
    ----------
    relation
        Its name in the catalogue (``"author"``), or ``"people"`` where people took both.
    inverse
        Whether it is walked from its target to the item that names it.
    name
        The entity that is reached; empty where it is an item.
    item_id
        The item that is reached; None where it is an entity.
    """

    relation: str
    inverse: bool = False
    name: str = ""
    item_id: str | None = None


class Reason(msgspec.Struct, frozen=True, gc=False):
    """Why an item is in the slate.

    Attributes
    ----------
    kind
        ``"history"`` (past events speak for it), ``"similar"`` (to a context item),
        ``"popular"``, ``"trending"``, ``"content"``, ``"new"`` (posted after the models were
        trained, and like what they put first).
    item_id
        The past or context item that speaks for it; None for popularity.
    share
        Its share of all that speaks for the item, 0 to 1; NaN where nobody says.
    event
        The kind of the past event (``"purchase"``, ``"view"``), the weightiest where the shopper
        met the item more than once; empty where there is none.
    loss
        The part of the item's score that would be gone without it, everything else as it was; of
        the blend's score, where a second stage orders. NaN where nobody says.
    path
        How it leads to the item through the knowledge graph of the catalogue, where the model that
        says most walked there; the last step reaches the item.
    """

    kind: str
    item_id: str | None = None
    share: float = float("nan")
    event: str = ""
    loss: float = float("nan")
    path: tuple[Step, ...] = ()

    @property
    def named(self) -> list[str]:
        """The items that it names: the past one, and those on its path."""
        told = (self.item_id, *(step.item_id for step in self.path))
        return [item_id for item_id in told if item_id is not None]


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of one item, or of a whole slate; NaN where it cannot be told.

    Attributes
    ----------
    click, purchase
        Chances, or for a slate how many are expected.
    revenue, profit
        In the currency of the catalogue.
    value
        The sum, weighed as the objective says.
    """

    click: float
    purchase: float
    revenue: float
    profit: float
    value: float

    @classmethod
    def total(cls, parts: Sequence["Expected"]) -> Self:
        """Return the sums over the items of a slate."""
        told = (float(sum(getattr(one, f.name) for one in parts)) for f in fields(cls))
        return cls(*(nan if isnan(total) else total for total in told))


class SlateItem(msgspec.Struct, frozen=True):
    """One item on the shelf.

    Attributes
    ----------
    expected
        What showing it is expected to bring; None where its placement has no objective.
    explored
        Whether exploration put it there.
    propensity
        The chance that it stands there, for this request: 1 without exploration.
    """

    item_id: str
    rank: int
    score: float
    source: str
    reasons: tuple[Reason, ...] = ()
    properties: dict[str, Any] = {}  # title, price, image: for showing
    expected: Expected | None = None
    explored: bool = False
    propensity: float = 1.0


@dataclass(frozen=True, slots=True)
class Slate:
    """The answer, which names its own quality.

    Attributes
    ----------
    served_by
        The fallback level that answered: ``"personal"``, ``"session"``, ``"trending"``,
        ``"popular"``, ``"catalogue"`` or ``"empty"``.
    artefact
        Id of the artefact that answered; empty when none is loaded.
    degraded
        Whether this is less than the placement asks for, and `reason` says why.
    answered_as
        The placement that answered, where it is another than was asked for.
    rules
        What each rule of the placement did, in order of precedence; `relaxed` where it could not
        be met, prices where they were asked for.
    cost
        The share of expected relevance that all rules cost together; NaN where nobody asked.
    objective
        The weights by which the slate was ordered; empty where relevance alone did.
    """

    request_id: str
    placement: str
    items: tuple[SlateItem, ...]
    served_by: str
    artefact: str
    generated_at: datetime
    degraded: bool = False
    reason: str = ""
    answered_as: str = ""
    rules: tuple[Effect, ...] = ()
    cost: float = nan
    objective: dict[str, float] = field(default_factory=dict)

    @property
    def expected(self) -> Expected | None:
        """What the whole slate is expected to bring; None where its items do not say."""
        told = [item.expected for item in self.items if item.expected is not None]
        return Expected.total(told) if told and len(told) == len(self.items) else None

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, times as text."""
        return cast("dict[str, Any]", msgspec.to_builtins(self, enc_hook=as_number))

    @property
    def sources(self) -> list[str]:
        """The items that its reasons name."""
        told: dict[str, None] = {}
        for item in self.items:
            for reason in item.reasons:
                if reason.path:
                    told |= dict.fromkeys(reason.named)
                elif reason.item_id is not None:
                    told[reason.item_id] = None
        return list(told)


def as_number(value: Any) -> Any:
    """Return a NumPy scalar as a number."""
    return value.item()

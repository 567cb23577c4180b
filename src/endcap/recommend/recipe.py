"""Recipes: which models a shop runs, and how each placement is answered, as strict TOML.

A recipe names models (`[models.NAME]`) and placements (`[placements.NAME]`). A placement is a
chain of levels, tried in order until the slate is full; each level blends models by weight. Behind
the last level stand, built in, the catalogue (newest first) and the empty slate.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import pydantic

from endcap.models.base import Spec
from endcap.models.specs import make
from endcap.recommend.filters.expression import understood
from endcap.recommend.filters.kinds import ATTRIBUTES, ITEM_FIELDS, Kind
from endcap.recommend.slates.rules import Rules
from endcap.schema.errors import ConfigError, DataError, nearest
from endcap.schema.strict import Strict

HOME: Final = "home"
SIMILAR: Final = "similar"
DEFAULT: Final = "shop"

RESERVED: Final = ("catalogue", "empty", "given")
"""What slates say of levels that are built in."""
NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,63}$"
LevelName = Annotated[str, pydantic.Field(pattern=NAME)]
EvidenceName = Literal["history", "session", "context", "cart", "order", "none"]


class ModelChoice(Strict):
    """One model of a recipe.

    Attributes
    ----------
    plugin
        Name of the model's plug-in (``endcap.models`` entry point).
    settings
        What its spec takes; unknown keys are refused with the nearest right name.
    min_items, max_items
        The model is fitted where the data set has this many items, both included: a model whose
        cost grows with the square of the items can hand over to one that scales.
    """

    plugin: str
    settings: dict[str, Any] = pydantic.Field(default_factory=dict)
    min_items: int = pydantic.Field(default=0, ge=0)
    max_items: int | None = pydantic.Field(default=None, ge=1)

    def spec(self) -> Spec:
        """Return the spec that fits this model."""
        return make(self.plugin, self.settings)

    def fits(self, n_items: int) -> bool:
        """Whether the model is for a data set of that many items."""
        return self.min_items <= n_items <= (n_items if self.max_items is None else self.max_items)


class Hide(Strict):
    """What the shopper is not shown again.

    Attributes
    ----------
    kinds
        Kinds of event that make an item "seen"; none hides nothing.
    days
        For how long after the event; without it, for ever.
    """

    kinds: tuple[str, ...] = ("purchase", "dismiss")
    days: float | None = pydantic.Field(default=None, gt=0)


class Past(Strict):
    """A level of items the shopper knows: the newest first, until something ends it.

    Attributes
    ----------
    kinds
        Kinds of event that bring an item in ("view"; "play").
    until
        Kinds that take it out again when they come later ("purchase"; "complete").
    days
        Only what happened in so many days.
    length
        An attribute of items, such as ``attributes.seconds``: an item whose events' ``value`` has
        reached `done` of it is finished and taken out.
    done
        The share of `length` that counts as finished.
    """

    kinds: tuple[str, ...] = pydantic.Field(default=("view", "click"), min_length=1)
    until: tuple[str, ...] = ("purchase",)
    days: float | None = pydantic.Field(default=None, gt=0)
    length: str = pydantic.Field(default="", pattern=r"^(attributes\..+)?$")
    done: float = pydantic.Field(default=0.95, gt=0, le=1)


class Level(Strict):
    """One step of the fallback chain: models by weight, or the shopper's own past.

    Attributes
    ----------
    name
        What a slate says it was served by.
    evidence
        What the models are asked with: the shopper's whole ``history``, the present ``session``,
        the ``context`` items of the request, what is in the ``cart`` now (and the context), the
        last ``order``, or ``none``. Context items count as views of this moment in the first two
        as well. A level that needs evidence is passed over without it.
    weights
        Model name -> weight; each model's scores are divided by the best one among the candidates
        before they are summed. A score of 0 or less says that nothing speaks for an item.
    past
        Instead of models: items the shopper knows.
    filter, boost
        A condition and a factor of this level alone; empty: none.
    candidates
        How many items each model proposes; never fewer than are asked for.
    ranked
        Whether the best of the blend are ordered again by the artefact's second stage (see
        `models.ranking`), where it has one.
    live, live_trending
        Shares of the score for what went with these items, and for what was taken, by everybody
        up to this moment (see `models.live`); where a server counts along, else 0. Where there is
        the second, models that count what is taken go on counting, and a level that asks for no
        evidence needs no share beside them.
    """

    name: LevelName
    evidence: EvidenceName = "history"
    weights: dict[str, pydantic.PositiveFloat] = pydantic.Field(default_factory=dict)
    past: Past | None = None
    filter: str = ""
    boost: str = ""
    candidates: int = pydantic.Field(default=200, ge=1)
    ranked: bool = False
    live: float = pydantic.Field(default=0.1, ge=0, lt=0.5)
    live_trending: float = pydantic.Field(default=0.1, ge=0, lt=0.5)

    @pydantic.model_validator(mode="after")
    def _is_sound(self) -> Self:
        if bool(self.weights) == bool(self.past):
            raise ConfigError(f"Level {self.name!r} needs either weights of models or past.")
        if self.name in RESERVED:
            raise ConfigError(f"Level {self.name!r}: that name is built in.", hint="Take another.")
        understood(self.filter, self.boost)
        return self


class Closed(Strict):
    """When the need of a page is met: whoever bought a sofa wants cushions, not another sofa.

    Attributes
    ----------
    then
        The placement that answers instead, on a page that is about an item.
    factor
        What the scores of items of a met need count, on any page; 0 hides them.
    kinds
        Events that meet a need.
    days
        For how long after one.
    by
        What meets it: an item that shares this field with a context item (its whole category path,
        by default), or, where it is empty, the very item.
    refills
        A model of the recipe that foresees refills (`models.refill`): the need is open again once
        the item is due.
    """

    then: str = pydantic.Field(default="", pattern=f"^$|{NAME}")
    factor: float = pydantic.Field(default=1.0, ge=0, le=1)
    kinds: tuple[str, ...] = pydantic.Field(default=("purchase",), min_length=1)
    days: float = pydantic.Field(default=60.0, gt=0)
    by: str = "categories"
    refills: str = ""

    @pydantic.model_validator(mode="after")
    def _is_a_field(self) -> Self:
        if not self.then and self.factor == 1:
            raise ConfigError("closed does nothing.", hint="Give it then, or a factor below 1.")
        texts = [n for n, kind in ITEM_FIELDS.items() if kind in {Kind.TEXT, Kind.TEXTS}]
        if self.by and self.by not in texts and not self.by.startswith(ATTRIBUTES):
            raise ConfigError(
                f"closed.by = {self.by!r}: no field of texts.", hint=nearest(self.by, texts)
            )
        return self


class Placement(Strict):
    """A place in the shop.

    Attributes
    ----------
    levels
        The chain, the best first.
    hide
        What is not shown again.
    filter
        A condition that every item meets (see `recommend.filters`); empty: none.
    boost
        A factor for the scores; empty: none.
    rules
        What shapes the slate as a whole (see `recommend.slates`).
    fill
        Whether the catalogue fills what no level could; without, a slate may be short.
    variants
        ``one``: of each product (``group_id``) at most one variant, in stock; one that was taken or
        is on the page hides its like, and one that is sold out speaks for them.
    closed
        When another placement answers, because the need of this page is met.
    """

    levels: tuple[Level, ...] = pydantic.Field(min_length=1)
    hide: Hide = Hide()
    filter: str = ""
    boost: str = ""
    rules: Rules = Rules()
    fill: bool = True
    variants: Literal["each", "one"] = "each"
    closed: Closed | None = None

    @pydantic.model_validator(mode="after")
    def _is_understood(self) -> Self:
        understood(self.filter, self.boost)
        return self

    def expressions(self) -> Iterator[str]:
        """Yield every condition and factor, empty ones included."""
        yield from (self.filter, self.boost, self.rules.exclude)
        for level in self.levels:
            yield from (level.filter, level.boost)
        for quota in self.rules.quotas:
            yield quota.where


class Recipe(Strict):
    """Everything that `train` fits and a `Recommender` follows.

    Stability: caller.
    """

    name: str
    description: str = ""
    session_minutes: float = pydantic.Field(default=30.0, gt=0)
    """A pause longer than this ends a session."""
    index_from: int = pydantic.Field(default=50_000, ge=1)
    """From so many items on, training tries an index for models of factors (`models.indexing`)."""
    models: dict[str, ModelChoice] = pydantic.Field(min_length=1)
    placements: dict[str, Placement]

    @pydantic.model_validator(mode="after")
    def _is_wired(self) -> Self:
        if HOME not in self.placements:
            raise ConfigError(f"Recipe {self.name!r} has no placement {HOME!r}.")
        check_placements(self.name, self.placements, self.models)
        return self

    def specs(self, n_items: int) -> dict[str, Spec]:
        """Return the specs to fit for a data set of that many items, by model name.

        Raises
        ------
        PluginError, ConfigError
            For an unknown model or setting; all are made before any is fitted.
        """
        specs = {name: choice.spec() for name, choice in self.models.items()}
        return {name: spec for name, spec in specs.items() if self.models[name].fits(n_items)}


def check_placements(
    name: str, placements: Mapping[str, Placement], models: Collection[str]
) -> None:
    """Refuse placements that name models or placements which are not there.

    Raises
    ------
    ConfigError
        Naming the nearest right one.
    """
    for place, placement in placements.items():
        if not re.fullmatch(NAME, place):
            raise ConfigError(
                f"Recipe {name!r}: {place!r} is no name for a placement.",
                hint="Lower-case letters, digits, - and _.",
            )
        for level in placement.levels:
            for model in level.weights:
                if model not in models:
                    raise ConfigError(
                        f"Recipe {name!r}: placement {place!r}, level {level.name!r} weighs "
                        f"{model!r}, which is no model of the recipe.",
                        hint=nearest(model, models),
                    )
        if placement.closed and placement.closed.then not in {"", *placements}:
            raise ConfigError(
                f"Recipe {name!r}: placement {place!r} hands over to {placement.closed.then!r}, "
                "which is no placement.",
                hint=nearest(placement.closed.then, placements),
            )


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with Endcap."""
    return sorted(p.name.removesuffix(".toml") for p in _shelf().iterdir() if _is_toml(p.name))


def load_recipe(name: str = DEFAULT) -> Recipe:
    """Read a recipe by the path of its file, or by the name of one that comes with Endcap.

    Raises
    ------
    ConfigError
        When there is none (the nearest name is given) or a key is unknown.
    DataError
        When the file is no TOML.
    """
    source: Traversable = Path(name) if _is_toml(name) else _shelf() / f"{name}.toml"
    if not source.is_file():
        hint = "" if _is_toml(name) else nearest(name, recipe_names())
        raise ConfigError(f"There is no recipe {name!r}.", hint=hint)
    try:
        values = tomllib.loads(source.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{name} is no TOML: {error}.") from error
    return Recipe.parse({"name": Path(name).stem, **values}, where=f"recipe {name!r}")


def _shelf() -> Traversable:
    return files("endcap.recommend") / "recipes"


def _is_toml(name: str) -> bool:
    return name.endswith(".toml")

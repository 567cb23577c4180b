"""Recipes: which models a shop runs, and how each placement is answered, as strict TOML.

A recipe names models (`[models.NAME]`) and placements (`[placements.NAME]`). A placement is a
chain of levels, tried in order until the slate is full; each level blends models by weight. Behind
the last level stand, built in, the catalogue (newest first) and the empty slate.
"""

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, Literal, Self

import pydantic

from endcap.models.base import Spec
from endcap.models.specs import make
from endcap.recommend.filters.expression import understood
from endcap.recommend.slates.rules import Rules
from endcap.schema.errors import ConfigError, DataError, nearest
from endcap.schema.strict import Strict

HOME: Final = "home"
SIMILAR: Final = "similar"
DEFAULT: Final = "shop"

LevelName = Literal["personal", "session", "trending", "popular"]
EvidenceName = Literal["history", "session", "context", "none"]


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


class Level(Strict):
    """One step of the fallback chain.

    Attributes
    ----------
    name
        What a slate says it was served by.
    evidence
        What the models are asked with: the shopper's whole ``history``, the present ``session``,
        the ``context`` items of the request, or ``none``. Context items count as views of this
        moment in the first two as well. A level that needs evidence is passed over without it.
    weights
        Model name -> weight; each model's scores are divided by the best one among the candidates
        before they are summed. A score of 0 or less says that nothing speaks for an item.
    candidates
        How many items each model proposes; never fewer than are asked for.
    ranked
        Whether the best of the blend are ordered again by the artefact's second stage (see
        `models.ranking`), where it has one.
    live, live_trending
        Shares of the score for what went with these items, and for what was taken, by everybody
        up to this moment (see `models.live`); where a server counts along, else 0.
    """

    name: LevelName
    evidence: EvidenceName = "history"
    weights: dict[str, pydantic.PositiveFloat] = pydantic.Field(min_length=1)
    candidates: int = pydantic.Field(default=200, ge=1)
    ranked: bool = False
    live: float = pydantic.Field(default=0.1, ge=0, lt=0.5)
    live_trending: float = pydantic.Field(default=0.1, ge=0, lt=0.5)


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
    """

    levels: tuple[Level, ...] = pydantic.Field(min_length=1)
    hide: Hide = Hide()
    filter: str = ""
    boost: str = ""
    rules: Rules = Rules()

    @pydantic.model_validator(mode="after")
    def _is_understood(self) -> Self:
        understood(self.filter, self.boost)
        return self


class Recipe(Strict):
    """Everything that `train` fits and a `Recommender` follows.

    Stability: caller.
    """

    name: str
    description: str = ""
    session_minutes: float = pydantic.Field(default=30.0, gt=0)
    """A pause longer than this ends a session."""
    models: dict[str, ModelChoice] = pydantic.Field(min_length=1)
    placements: dict[str, Placement]

    @pydantic.model_validator(mode="after")
    def _is_wired(self) -> Self:
        if HOME not in self.placements:
            raise ConfigError(f"Recipe {self.name!r} has no placement {HOME!r}.")
        for place, placement in self.placements.items():
            for level in placement.levels:
                for name in level.weights:
                    if name not in self.models:
                        raise ConfigError(
                            f"Recipe {self.name!r}: placement {place!r}, level {level.name!r} "
                            f"weighs {name!r}, which is no model of the recipe.",
                            hint=nearest(name, self.models),
                        )
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

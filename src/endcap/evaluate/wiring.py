"""From what was chosen to a recipe that serves."""

from collections.abc import Collection, Mapping
from typing import Final

from endcap.evaluate.choosing import Chosen
from endcap.evaluate.tuning import Choice
from endcap.recommend.recipe import (
    HOME,
    SIMILAR,
    Hide,
    Level,
    ModelChoice,
    Placement,
    Recipe,
    load_recipe,
)

NAME: Final = "chosen"
CART: Final = "cart"
FLOORS: Final = ("trending", "popular")
"""Answer when nothing is known of a shopper."""
ADDED: Final = ("together", "beside", "viewed", "refill", "trending-near", "tied", "related")
"""What places beside the page and the cart are answered from; cheap to fit, and not chosen."""


def recipe_of(chosen: Chosen, *, ranked: bool = False) -> Recipe:
    """Wire what was chosen into the placements of a shop.

    The personal level blends as validation found best for whole histories. The session level, and
    the pages of a product and of a cart, blend as was best for a single event. Behind them stand
    what sells now and what sells at all. Where shoppers buy again what they have, the home page
    does not hide it. With `ranked`, a second stage orders the home page's personal level again.
    All other places are those of the shop recipe, with the chosen blend where it says ``personal``.
    """
    used = [*chosen.blend.weights, *(chosen.moment.weights if chosen.moment else ())]
    models = {
        name: _model(choice)
        for name, choice in chosen.choices.items()
        if name in used or name in FLOORS
    }
    shop = load_recipe()
    for name in ("popular", *ADDED):
        models.setdefault(name, shop.models[name])
    personal = Level(name="personal", evidence="history", weights=chosen.blend.weights)
    home = personal.model_copy(update={"ranked": ranked})
    floors = [
        Level.model_validate({"name": name, "evidence": "none", "weights": {name: 1.0}})
        for name in FLOORS
        if name in models
    ]
    moment = chosen.moment.weights if chosen.moment else {}
    session, context = (_moment(evidence, moment) for evidence in ("session", "context"))
    exam = chosen.trial.exam
    seen = (exam.split.target or "purchase", "dismiss") if exam.exclude_seen else ("dismiss",)

    def place(name: str, levels: tuple[Level, ...], hide: Hide) -> Placement:
        kept = shop.placements[name]
        return Placement(levels=levels, hide=hide, closed=kept.closed, variants=kept.variants)

    return Recipe(
        name=NAME,
        description=f"Chosen on validation: {chosen.trial.exam.split.protocol}.",
        models=models,
        placements={
            **_places(shop, personal, models, floors),
            HOME: place(HOME, (home, *session, *floors), Hide(kinds=seen)),
            SIMILAR: place(SIMILAR, (*context, *floors), Hide(kinds=("dismiss",))),
            CART: place(CART, (*context, personal, *floors), Hide(kinds=("dismiss",))),
        },
    )


def _places(
    shop: Recipe, personal: Level, models: Collection[str], floors: list[Level]
) -> dict[str, Placement]:
    """Return the places of the shop recipe, as far as the models go."""
    out = {}
    for name, placement in shop.placements.items():
        levels = []
        for level in placement.levels:
            weights = personal.weights if level.name == personal.name else level.weights
            known = {model: weight for model, weight in weights.items() if model in models}
            if known or level.past:
                levels.append(level.model_copy(update={"weights": known}))
        kept = tuple(levels) or tuple(floors)
        out[name] = placement.model_copy(update={"levels": kept})
    return out


def _model(choice: Choice) -> ModelChoice:
    settings = {**choice.entrant.fixed, **choice.settings}
    return ModelChoice(plugin=choice.entrant.plugin, settings=settings)


def _moment(evidence: str, weights: Mapping[str, float]) -> list[Level]:
    if not weights:
        return []
    level = {"name": "session", "evidence": evidence, "weights": dict(weights)}
    return [Level.model_validate(level)]

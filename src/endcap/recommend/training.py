"""Fit every model of a recipe, publish them as one artefact, and let it serve."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import structlog

from endcap.events.store import Store
from endcap.models.base import Model
from endcap.models.chances import Chances
from endcap.models.described import READ, Described
from endcap.models.indexing import index_for
from endcap.models.queries import Queries
from endcap.models.ranking import ItemFacts, Ranker
from endcap.prepare.dataset import Dataset
from endcap.prepare.run import prepare_store
from endcap.recommend.artefacts import (
    LOG_END,
    Artefact,
    new_id,
    promote,
    prune,
    publish,
    training_lock,
)
from endcap.recommend.recipe import Recipe
from endcap.recommend.weighing import Weighing
from endcap.schema.errors import DataError
from endcap.schema.progress import Progress, silent
from endcap.schema.settings import Settings
from endcap.schema.version import __version__

NOTHING: Final = "There is nothing to learn from: no event carries a preference."
SHOPPERS: Final = 200
"""Whose answers are compared where an index is tried."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Fitted:
    """Models of a recipe, and what each took.

    Attributes
    ----------
    models
        By the recipe's names.
    seconds
        Wall time of each fit.
    indexes
        What was measured where an index was tried (see `models.indexing`).
    """

    models: dict[str, Model]
    seconds: dict[str, float] = field(default_factory=dict)
    indexes: dict[str, dict[str, Any]] = field(default_factory=dict)


def fit(
    data: Dataset,
    recipe: Recipe,
    *,
    seed: int = 0,
    progress: Callable[[str], Progress] = lambda name: silent,
) -> Fitted:
    """Fit every model that the recipe has for data of this size; nothing is written.

    Each model draws from its own stream of random numbers, derived from `seed` and its name, so
    that adding a model changes no other.

    Parameters
    ----------
    progress
        Given a model's name, returns who is told how far its fit is.

    Raises
    ------
    DataError
        When there are no interactions to learn from.
    """
    if not data.interactions.num_rows:
        raise DataError(NOTHING, hint="See what was removed and why: endcap prepare.")
    models: dict[str, Model] = {}
    seconds: dict[str, float] = {}
    for name, spec in recipe.specs(len(data.items)).items():
        rng = np.random.default_rng([seed, *name.encode()])
        start = perf_counter()
        models[name] = spec.fit(data, rng, progress(name))
        seconds[name] = round(perf_counter() - start, 3)
        log.info("fitted", model=name, seconds=seconds[name])
    return Fitted(models, seconds)


def indexed(
    fitted: Fitted,
    data: Dataset,
    recipe: Recipe,
    *,
    seed: int = 0,
    progress: Callable[[str], Progress] = lambda name: silent,
) -> Fitted:
    """Give an index to each model that answers sooner with one, and as well.

    It is measured on the histories of some shoppers, drawn by `seed`.
    """
    rng = np.random.default_rng(seed)
    some = np.sort(rng.choice(len(data.users), min(SHOPPERS, len(data.users)), replace=False))
    asked = Queries.of_users(data, some).excluding_history()
    models, facts = dict(fitted.models), {}
    for name, model in fitted.models.items():
        tried = index_for(
            model, asked, at_least=recipe.index_from, seed=seed, progress=progress(name)
        )
        if tried is not None:
            facts[name] = tried.facts
            models[name] = replace(model, index=tried.index)
            log.info("index", model=name, **tried.facts)
    return replace(fitted, models=models, indexes=facts)


def train(
    data: Dataset,
    recipe: Recipe,
    folder: Path,
    *,
    seed: int = 0,
    progress: Callable[[str], Progress] = lambda name: silent,
    settings: Settings | None = None,
    now: datetime | None = None,
    facts: Mapping[str, Any] | None = None,
    ranker: Ranker | None = None,
    chances: Chances | None = None,
) -> Artefact:
    """Fit a recipe and let the new artefact serve; what served before goes on until then.

    Parameters
    ----------
    folder
        The data folder; artefacts go to ``<folder>/models``. The newest five are kept.
    settings
        Those under which `data` was prepared (default: all defaults): events will weigh alike.
    now
        Names the artefact; None is the clock.
    facts
        More for the manifest, such as ``metrics``.
    ranker
        A second stage; what it knows of the items is brought up to `data`.
    chances
        What scores say of outcomes, learnt on what models of this recipe had not seen.

    Raises
    ------
    BusyError
        When another process trains in `folder`.
    DataError
        When there is nothing to learn from.
    ArtefactError
        When the new artefact cannot be read back or answers nonsense: it does not go live.
    """
    created = now or datetime.now(UTC)
    with training_lock(folder):
        fitted = fit(data, recipe, seed=seed, progress=progress)
        fitted = indexed(fitted, data, recipe, seed=seed, progress=progress)
        about = _about(data, created, fitted, seed, settings) | dict(facts or {})
        name = new_id(created, data.fingerprint, recipe.model_dump_json(), str(seed))
        second = None if ranker is None else replace(ranker, facts=ItemFacts.of(data))
        parts: dict[str, Any] = {"ranker": second, "described": described(data), "chances": chances}
        made = Artefact.of(recipe, fitted.models, id=name, **parts, **about)
        publish(folder, made)
        artefact = promote(folder, name)
        prune(folder)
    return artefact


def _about(
    data: Dataset, created: datetime, fitted: Fitted, seed: int, settings: Settings | None
) -> dict[str, Any]:
    return {
        "created": created.isoformat(),
        "dataset": data.fingerprint,
        "users": len(data.users),
        "items": len(data.items),
        "interactions": data.interactions.num_rows,
        "seed": seed,
        "code": __version__,
        "seconds": fitted.seconds,
        "indexes": fitted.indexes,
        **Weighing.of_settings(settings or Settings(), data.end).facts(),
    }


def described(data: Dataset) -> Described | None:
    """Return what the catalogue says of the items; None where it says nothing."""
    said = data.item_table.select([*READ])
    if all(column.null_count == len(column) for column in said.columns):
        return None
    return Described.of(data.item_table)


def train_store(
    store: Store,
    recipe: Recipe,
    settings: Settings,
    *,
    seed: int = 0,
    progress: Callable[[str], Progress] = lambda name: silent,
    chances: Callable[[Dataset], Chances | None] = lambda data: None,
) -> Artefact:
    """Prepare all that a store holds and `train` on it, into ``settings.store.folder``.

    Parameters
    ----------
    progress
        Given ``"prepare"`` or a model's name, returns who is told how far that is.
    chances
        Given the data, returns what scores say of outcomes.

    Raises
    ------
    BusyError, DataError, ArtefactError
        As `train` does.
    """
    if not store.log.count():
        raise DataError(NOTHING, hint="Import events first: endcap import PATH.")
    facts = {LOG_END: store.log.newest()}
    data = prepare_store(store, settings, progress=progress("prepare")).dataset
    return train(
        data,
        recipe,
        settings.store.folder,
        seed=seed,
        settings=settings,
        progress=progress,
        facts=facts,
        chances=chances(data),
    )

"""``endcap train`` without a recipe: choose, contend, fit on everything, publish, report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import structlog

from endcap.evaluate.champion import Contest, contest
from endcap.evaluate.choosing import Chosen, choose
from endcap.evaluate.exam import Exam
from endcap.evaluate.falling import check_fall
from endcap.evaluate.knob import plain, turned
from endcap.evaluate.lineup import Profile, line_up
from endcap.evaluate.outcomes import asking, learn_chances, recipe_chances, tolerant
from endcap.evaluate.ranking import ENOUGH_LISTS, Ranked, learn_ranker
from endcap.evaluate.tuning import Trial
from endcap.evaluate.watching import Clock
from endcap.evaluate.wiring import FLOORS, recipe_of
from endcap.events.store import Store
from endcap.models.chances import Chances
from endcap.models.ranking import Ranker
from endcap.prepare.dataset import Dataset
from endcap.prepare.run import prepare_store
from endcap.prepare.split import DAY_US, Split, Temporal
from endcap.recommend.artefacts import LOG_END, Artefact, current, load_artefact, training_lock
from endcap.recommend.recipe import HOME, Recipe, load_recipe
from endcap.recommend.state import PURCHASE
from endcap.recommend.training import NOTHING, train
from endcap.schema.errors import ArtefactError, DataError, EndcapError
from endcap.schema.progress import Progress, silent
from endcap.schema.settings import Settings

DAYS: Final = 28.0
SHARE: Final = 0.2
"""Validation: the last four weeks, or where all is shorter than four such spans, a fifth."""
ENOUGH: Final = 50
"""Shoppers with a past and a next purchase, below which a choice would be chance."""
BUDGET_S: Final = 120.0
RANK_SHARE: Final = 0.2
"""Of the budget, kept for the second stage where there is enough to learn one from."""
LISTS_PER_S: Final = 50.0
MOST_LISTS: Final = 30_000
"""Shoppers that a second stage learns from: for each second of the budget, and at most."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Learnt:
    """What one training did.

    Attributes
    ----------
    artefact
        What serves now.
    chosen
        What was tried and found; None where there was too little to choose on, and `reason`
        says so.
    contest
        Against what served before; None where nothing did.
    ranked
        The second stage that was learned, whether it pays or not; None where none was.
    seconds
        Of everything.
    """

    artefact: Artefact
    chosen: Chosen | None
    contest: Contest | None
    ranked: Ranked | None
    reason: str
    seconds: float


def learn_store(
    store: Store,
    settings: Settings,
    *,
    budget_s: float = BUDGET_S,
    keep_seen: bool = False,
    accept_worse: bool = False,
    seed: int = 0,
    clock: Clock = perf_counter,
    progress: Callable[[str], Progress] = lambda name: silent,
) -> Learnt:
    """Prepare all that a store holds and `learn` from it, into ``settings.store.folder``.

    Raises
    ------
    BusyError, DataError, ArtefactError
        As `learn` does.
    """
    if not store.log.count():
        raise DataError(NOTHING, hint="Import events first: endcap import PATH.")
    facts = {LOG_END: store.log.newest()}
    data = prepare_store(store, settings, progress=progress("prepare")).dataset
    return learn(
        data,
        settings.store.folder,
        settings=settings,
        budget_s=budget_s,
        keep_seen=keep_seen,
        accept_worse=accept_worse,
        seed=seed,
        clock=clock,
        progress=progress,
        facts=facts,
    )


def learn(
    data: Dataset,
    folder: Path,
    *,
    settings: Settings | None = None,
    budget_s: float = BUDGET_S,
    keep_seen: bool = False,
    accept_worse: bool = False,
    seed: int = 0,
    clock: Clock = perf_counter,
    progress: Callable[[str], Progress] = lambda name: silent,
    facts: Mapping[str, Any] | None = None,
) -> Learnt:
    """Choose a recipe on the latest events, fit it on everything, and let it serve.

    When the recipe that serves now foresees the same events better, it is kept and only fitted
    again on what is new. Where there is too little to choose on, the shop recipe is fitted.

    Parameters
    ----------
    folder
        The data folder; artefacts go to ``<folder>/models``.
    settings
        Those under which `data` was prepared.
    budget_s
        Seconds for choosing and fitting. One fit cannot be cut short: a little more may pass.
    keep_seen
        Whether shoppers buy again what they have (groceries).
    accept_worse
        Let them serve even where they foresee far less than what serves did when it was chosen.
    progress
        Given a model's name or ``"blend"``, returns who is told how far it is.
    facts
        More for the artefact's manifest.

    Raises
    ------
    BusyError, DataError, ArtefactError
        As `recommend.training.train` and, `WorseError`, `falling.check_fall` do.
    """
    began = clock()
    if not data.interactions.num_rows:
        raise DataError(NOTHING, hint="See what was removed and why: endcap prepare.")
    with training_lock(folder):
        pass  # told now that another trains, not after the search
    options: dict[str, Any] = {"clock": clock, "progress": progress}
    chosen, ranked, reason = _search(data, settings, keep_seen, seed, budget_s, **options)
    champion = _serving(folder)
    match = None if champion is None or chosen is None else _contest(champion.recipe, chosen)
    if chosen is not None and not accept_worse:
        check_fall(champion, chosen, _best(chosen, match))
    recipe, ranker, chances = _wired(chosen, ranked, champion, match, data)
    said = dict(facts or {})
    if chosen is not None:
        said["choice"] = _facts(chosen, match, ranked)
        said["diversity"] = _curve(chosen, ranked if ranked is not None and ranked.pays else None)
    options = {"seed": seed, "settings": settings, "progress": progress}
    options |= {"ranker": ranker, "chances": chances}
    artefact = train(data, recipe, folder, facts=said, **options)
    return Learnt(artefact, chosen, match, ranked, reason, clock() - began)


def _search(
    data: Dataset,
    settings: Settings | None,
    keep_seen: bool,
    seed: int,
    budget_s: float,
    *,
    clock: Clock,
    progress: Callable[[str], Progress],
) -> tuple[Chosen | None, Ranked | None, str]:
    """Return what was chosen and the second stage over it; None and why, where nothing can be."""
    chosen, ranked = None, None
    try:
        trial = Trial.of(validation(data, settings), exclude_seen=not keep_seen, seed=seed)
        lists = _lists(trial.exam, budget_s)
        budget_s *= 1 - RANK_SHARE if lists else 1
        chosen = _chosen(trial, keep_seen, budget_s=budget_s, clock=clock, progress=progress)
        ranked = _ranked(chosen, lists, progress("ranker")) if lists else None
    except DataError as error:
        return chosen, ranked, str(error)
    return chosen, ranked, ""


def _chosen(trial: Trial, keep_seen: bool, **options: Any) -> Chosen:
    exam = trial.exam
    if exam.warm.sum() < ENOUGH:
        raise DataError(f"Only {int(exam.warm.sum())} shoppers can be asked.")
    profile = Profile.of(exam.split.train)
    entrants = line_up(profile, keep_seen=keep_seen, target=exam.split.target)
    return choose(entrants, trial, **options)


def _lists(exam: Exam, budget_s: float) -> int:
    """Return how many shoppers a second stage may learn from in time; 0 where none is tried."""
    able = len(exam.split.users) if find_spec("lightgbm") else 0
    lists = int(min(able, MOST_LISTS, budget_s * LISTS_PER_S))
    return lists if lists >= ENOUGH_LISTS else 0


def _ranked(chosen: Chosen, lists: int, progress: Progress) -> Ranked | None:
    """Learn a second stage over the blend, from shoppers whom its models have not seen buy."""
    models = {name: choice.model for name, choice in chosen.choices.items()}
    exam = chosen.trial.exam
    progress(0, 1, "learning")
    try:
        return learn_ranker(
            models,
            chosen.blend.weights,
            Exam.of(exam.split, exclude_seen=exam.exclude_seen, max_users=lists, seed=exam.seed),
            chosen.trial.k,
        )
    except (EndcapError, MemoryError) as error:
        log.warning("no second stage", reason=str(error))
        return None
    finally:
        progress(1, 1)


def _best(chosen: Chosen, match: Contest | None) -> float:
    """Return the score of what would serve."""
    return chosen.blend.score if match is None or match.won else match.score


def _wired(
    chosen: Chosen | None,
    ranked: Ranked | None,
    champion: Artefact | None,
    match: Contest | None,
    data: Dataset,
) -> tuple[Recipe, Ranker | None, Chances | None]:
    """Return the recipe to fit: the chosen one, unless what serves now foresees better."""
    if chosen is None:
        return load_recipe(), None, None
    if champion is not None and match is not None and not match.won:
        return champion.recipe, champion.ranker, champion.chances
    ranker = ranked.ranker if ranked is not None and ranked.pays else None
    chances = tolerant(lambda: _chances(chosen, ranker, data))
    return recipe_of(chosen, ranked=ranker is not None), ranker, chances


def _chances(chosen: Chosen, ranker: Ranker | None, data: Dataset) -> Chances | None:
    """Learn what scores of the home page's levels say of outcomes (see `wiring.recipe_of`)."""
    exam = chosen.trial.exam
    models = {name: choice.model for name, choice in chosen.choices.items()}
    levels = {"personal": asking(models, chosen.blend.weights, ranker)}
    if chosen.moment:
        levels["session"] = asking(models, chosen.moment.weights, last=1)
    levels |= {
        name: asking(models, {name: 1.0}, needs_history=False) for name in FLOORS if name in models
    }
    whole = replace(validation(data), target=exam.split.target or PURCHASE)
    return learn_chances(levels, whole, exclude_seen=exam.exclude_seen, seed=exam.seed)


def _curve(chosen: Chosen, ranked: Ranked | None) -> list[dict[str, float]]:
    """Measure the knob `diversity` on what was held back; a report can do without."""
    models = {name: choice.model for name, choice in chosen.choices.items()}
    trial = chosen.trial
    try:
        return plain(turned(models, chosen.blend.weights, trial.exam, trial.k, ranked=ranked))
    except (EndcapError, MemoryError) as error:
        log.warning("the knob diversity was not measured", reason=str(error))
        return []


def chances_for(
    recipe: Recipe, data: Dataset, settings: Settings | None = None, *, seed: int = 0
) -> Chances | None:
    """Return what scores say of outcomes where a recipe has an objective; None where none has.

    The home page's models are fitted once more, on all but the latest weeks.
    """
    rules = [placement.rules for placement in recipe.placements.values()]
    if not any(one.objective is not None and one.objective.steers for one in rules):
        return None
    target = (settings.prepare.target if settings else "") or PURCHASE
    hidden = recipe.placements[HOME].hide.kinds
    return tolerant(
        lambda: recipe_chances(
            recipe,
            replace(validation(data), target=target),
            exclude_seen=target in hidden,
            seed=seed,
        )
    )


def validation(data: Dataset, settings: Settings | None = None) -> Split:
    """Cut off what is to be foreseen: events of the kind that `settings` name, else of any.

    Raises
    ------
    DataError
        When one of the two parts would be empty.
    """
    times = data.column("time")
    long = len(times) and times.max() - times.min() >= 4 * DAYS * DAY_US
    split = (Temporal(days=DAYS) if long else Temporal(fraction=SHARE)).apply(data)
    target = settings.prepare.target if settings else ""
    return split.foreseeing(target) if target else split


def _serving(folder: Path) -> Artefact | None:
    serving = current(folder)
    try:
        return load_artefact(folder, serving) if serving else None
    except ArtefactError as error:
        log.warning("nothing to defend", artefact=serving, reason=str(error))
        return None


def _contest(champion: Recipe, chosen: Chosen) -> Contest | None:
    try:
        return contest(champion, chosen)
    except (EndcapError, MemoryError) as error:
        log.warning("champion cannot be fitted", recipe=champion.name, reason=str(error))
        return None


def _facts(chosen: Chosen, match: Contest | None, ranked: Ranked | None) -> dict[str, Any]:
    k = chosen.trial.k
    second = {} if ranked is None else {"second_stage": ranked.facts()}
    return second | {
        "protocol": chosen.trial.exam.split.protocol,
        "keep_seen": not chosen.trial.exam.exclude_seen,
        f"ndcg@{k}": chosen.blend.score,
        "best_single": chosen.best_single,
        f"best_single_ndcg@{k}": chosen.choices[chosen.best_single].score,
        "adds": {name: part.adds for name, part in chosen.blend.parts.items()},
        "tried": sum(choice.trials for choice in chosen.choices.values()),
        "seconds": round(chosen.seconds, 1),
        "promoted": match is None or match.won,
    }

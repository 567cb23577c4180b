"""Choose models, settings and a blend for one shop, by itself, on validation alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Final

import structlog

from endcap.evaluate.exam import Exam
from endcap.evaluate.lineup import Entrant
from endcap.evaluate.mixing import Mix, mix
from endcap.evaluate.pool import DEPTH, pool
from endcap.evaluate.tuning import REFIT_MARGIN, Choice, Trial, Tuner
from endcap.evaluate.watching import Clock, OutOfTimeError
from endcap.schema.errors import DataError, EndcapError
from endcap.schema.progress import Progress, silent

BLEND_SHARE: Final = 0.15
"""Of the budget, kept for the search for weights."""
FIRST_SHARE: Final = 1 / 3
"""Of what is left, at most so much goes to the first settings of one model."""
TURN_SHARE: Final = 1 / 3
"""Of what is left, so much may go to tuning the model whose turn it is: blends live by the best."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Chosen:
    """What was chosen, and everything that was tried.

    Attributes
    ----------
    trial
        The validation slice.
    choices
        Each model at its best settings, in the order of the line-up.
    blend
        For a shopper's whole history.
    moment
        For the last event alone: the blend of sessions and of pages of a product. None where
        no model answers from a single event.
    skipped
        Models that could not take part, and why.
    seconds
        Of everything.
    """

    trial: Trial
    choices: dict[str, Choice]
    blend: Mix
    moment: Mix | None
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def best_single(self) -> str:
        """The model with the highest score by itself."""
        return max(self.choices, key=lambda name: self.choices[name].score)


def choose(
    entrants: Mapping[str, Entrant],
    trial: Trial,
    *,
    budget_s: float = float("inf"),
    depth: int = DEPTH,
    clock: Clock = perf_counter,
    progress: Callable[[str], Progress] = lambda name: silent,
) -> Chosen:
    """Tune each entrant, then choose the weights of their blend, within a budget.

    First every model answers with its first settings, so that there is always something to blend;
    then they are tuned, the best first: each may use a third of what is left when its turn comes,
    or an equal share with those behind it where that is more. What the final fits and the answers
    to blend will take is set aside from those already seen; a fit that tells that it would last
    too long is ended.

    Parameters
    ----------
    entrants
        By name, cheap ones first; a model that fails is named among the `skipped`.
    budget_s
        Seconds for everything, the fits on all data included.
    progress
        Given a model's name or ``"blend"``, returns who is told how far it is.

    Raises
    ------
    DataError
        When no model could take part.
    """
    began = clock()

    def left(choices: Mapping[str, Choice]) -> float:
        later = sum(
            REFIT_MARGIN * choice.fit_s + tuners[name].answer_s for name, choice in choices.items()
        )
        return budget_s * (1 - BLEND_SHARE) - later - (clock() - began)

    tuners = {name: Tuner(entrant, trial, clock) for name, entrant in entrants.items()}
    choices, skipped = _first(tuners, left, progress)
    if not choices:
        raise DataError("No model could be fitted.", hint="; ".join(skipped.values()))
    ranked = sorted(choices, key=lambda name: -choices[name].score)
    for turn, name in enumerate(ranked):
        share = max(TURN_SHARE, 1 / (len(ranked) - turn))
        deadline = clock() + share * left(choices)
        try:
            choices[name] = tuners[name].climb(
                choices[name], deadline=deadline, progress=progress(name)
            )
        except Exception:  # what was found before stands
            log.exception("not tuned further", model=name)
    tell = progress("blend")
    tell(0, 2)
    blend = _mixed(choices, trial, trial.exam, depth)
    tell(1, 2)
    moment = _moment(choices, trial, depth)
    tell(2, 2)
    return Chosen(trial, choices, blend, moment, skipped, clock() - began)


def _first(
    tuners: Mapping[str, Tuner],
    left: Callable[[Mapping[str, Choice]], float],
    progress: Callable[[str], Progress],
) -> tuple[dict[str, Choice], dict[str, str]]:
    """Let everybody answer once who can and for whom there is time; say why others do not.

    Guesses are of another machine: the last fit that had one says how fast this one is.
    """
    choices: dict[str, Choice] = {}
    skipped: dict[str, str] = {}
    pace = 1.0
    for name, tuner in tuners.items():
        time, guess = left(choices), tuner.guess_s(pace)
        if choices and time <= (1 + REFIT_MARGIN) * guess:
            skipped[name] = f"no time: {time:.0f} s left, a fit takes about {guess:.0f} s"
            continue
        progress(name)(0, tuner.steps, "first settings")
        most = FIRST_SHARE * time / (1 + REFIT_MARGIN) if choices else float("inf")
        try:
            choices[name] = tuner.first(most)
            pace = tuner.pace(choices[name].fit_s) or pace
        except OutOfTimeError as error:
            skipped[name] = f"no time: {time:.0f} s left, {error}"
        except EndcapError as error:
            skipped[name] = str(error)
            log.warning("left out", model=name, reason=skipped[name])
        except Exception as error:  # a plug-in may raise anything; the others go on
            skipped[name] = f"{type(error).__name__}: {error}"
            log.exception("left out", model=name)
    return choices, skipped


def _mixed(choices: Mapping[str, Choice], trial: Trial, exam: Exam, depth: int) -> Mix:
    models = {name: choice.model for name, choice in choices.items()}
    best = max(choices, key=lambda name: choices[name].score)
    return mix(pool(models, exam.queries, depth), exam, trial.k, {best: 1.0})


def _moment(choices: Mapping[str, Choice], trial: Trial, depth: int) -> Mix | None:
    """Choose weights for histories cut down to their last event."""
    able = {n: c for n, c in choices.items() if not c.model.answers.empty}
    if not able:
        return None
    return _mixed(able, trial, replace(trial.exam, queries=trial.exam.queries.last(1)), depth)

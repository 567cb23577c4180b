"""Choose a model's settings on validation, within a budget of time."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from time import perf_counter
from typing import Any, Final

import numpy as np

from endcap.evaluate.exam import Exam
from endcap.evaluate.lineup import ANSWER_ONLY, Entrant
from endcap.evaluate.metrics import PerUser, per_user
from endcap.evaluate.watching import Clock, OutOfTimeError, Watch
from endcap.models import specs
from endcap.models.base import Model, Spec
from endcap.models.candidates import Candidates
from endcap.prepare.split import Split
from endcap.schema.progress import Progress, silent

HEAT_USERS: Final = 1_000
LAG: Final = 2.0
"""Standard errors by which a setting may lag behind the best in the heat."""
REFIT_MARGIN: Final = 1.3
"""A fit on everything takes longer than one on the training part by at most about this."""


@dataclass(frozen=True)
class Trial:
    """A validation slice: the questions, and a few of them to try settings on first.

    Attributes
    ----------
    exam
        All questions.
    heat
        Rows of the users with a history that are asked first, drawn by the exam's seed.
    k
        Settings are chosen by NDCG@k of the users with a history.
    """

    exam: Exam
    heat: Exam
    k: int = 10

    @classmethod
    def of(
        cls,
        split: Split,
        *,
        k: int = 10,
        exclude_seen: bool = True,
        max_users: int | None = 5_000,
        heat_users: int = HEAT_USERS,
        seed: int = 0,
    ) -> "Trial":
        """Set the questions; the heat is a sample of them where there are enough."""
        exam, heat = (
            Exam.of(split, exclude_seen=exclude_seen, max_users=most, seed=seed)
            for most in (max_users, heat_users)
        )
        return cls(exam, heat, k)

    def mark(self, lists: Candidates, exam: Exam | None = None) -> PerUser:
        """Return NDCG@k of each user with a history, of the whole exam by default."""
        asked = exam or self.exam
        return per_user(lists, asked.targets, (self.k,))[f"ndcg@{self.k}"][asked.warm]


@dataclass(frozen=True)
class Choice:
    """The settings that did best on validation.

    Attributes
    ----------
    entrant, settings
        Who, and with what.
    values
        NDCG@k of each user with a history.
    model
        Fitted on the training part of the validation split.
    trials, dropped
        Settings tried, and how many of those fell out in the heat.
    fit_s, seconds
        Seconds of one fit, and of everything.
    """

    entrant: Entrant
    settings: dict[str, Any]
    values: PerUser = field(repr=False)
    model: Model = field(repr=False)
    trials: int = 1
    dropped: int = 0
    fit_s: float = 0.0
    seconds: float = 0.0

    @property
    def score(self) -> float:
        """Mean NDCG@k."""
        return float(self.values.mean()) if len(self.values) else 0.0


class Tuner:
    """Searches the settings of one model.

    A setting first answers a heat of few users; one that lags there by more than two standard
    errors of the paired difference falls out (racing: Maron & Moore 1993), the others answer all.
    A model is fitted again only when a setting that changes what it learns has changed.

    Parameters
    ----------
    entrant, trial
        Who is asked what.
    clock
        Seconds.
    """

    def __init__(self, entrant: Entrant, trial: Trial, clock: Clock = perf_counter) -> None:
        self._entrant, self._trial, self._clock = entrant, trial, clock
        self._heat: PerUser = np.empty(0)
        self._answer_s = 0.0
        self._left = [(key, value) for key, values in entrant.axes.items() for value in values[1:]]

    @property
    def steps(self) -> int:
        """How many settings are still to be tried."""
        return len(self._left)

    def guess_s(self, pace: float = 1.0) -> float:
        """Return about how many seconds a fit takes, 0 where it is quick; see `Entrant`."""
        return self._entrant.guess_s(int((self._trial.exam.buyers > 0).sum()), pace)

    def pace(self, fit_s: float) -> float | None:
        """Return how slow a fit was beside the guess; None where it does not grow so."""
        known = self._entrant.cubic_s and not self._entrant.capped_s
        return fit_s / self.guess_s() if known else None

    @property
    def answer_s(self) -> float:
        """How many seconds the first model took to answer everything."""
        return self._answer_s

    def first(self, limit_s: float = float("inf")) -> Choice:
        """Try the first settings, by which all others are measured.

        Raises
        ------
        OutOfTimeError
            When the fit would take longer than `limit_s` seconds.
        """
        start = self._clock()
        settings = {key: values[0] for key, values in self._entrant.axes.items()}
        model = self._fit(settings, limit_s)
        fit_s = self._clock() - start
        self._heat = self._ask(model, self._trial.heat)
        values = self._ask(model, self._trial.exam)
        spent = self._clock() - start
        self._answer_s = spent - fit_s
        return Choice(self._entrant, settings, values, model, fit_s=fit_s, seconds=spent)

    def climb(
        self, best: Choice, *, deadline: float = float("inf"), progress: Progress = silent
    ) -> Choice:
        """Search each axis in turn from the best so far; ends at the deadline.

        A trial that would last beyond it (as the one before lasted) is not begun, and one that
        does, its fit on everything counted in, is given up.
        """
        total = len(self._left)
        for done, (key, value) in enumerate(self._left):
            progress(done, total)
            settings = best.settings | {key: value}
            fresh = learnt(settings) != learnt(best.settings)
            start = self._clock()
            if start + self._answer_s + fresh * best.fit_s > deadline:
                continue
            try:
                found = self._rival(settings, best, deadline if fresh else None)
            except OutOfTimeError:
                found = best
            spent = best.seconds + self._clock() - start
            best = replace(found, trials=best.trials + 1, seconds=spent)
        progress(total, total)
        return best

    def _rival(self, settings: dict[str, Any], best: Choice, deadline: float | None) -> Choice:
        """Return the better of the best so far and new settings, fitted by a deadline if any."""
        start = self._clock()
        if deadline is None:
            model, fit_s = replace(best.model, spec=self._spec(settings)), best.fit_s
        else:
            left = deadline - start - self._answer_s + REFIT_MARGIN * best.fit_s
            model = self._fit(settings, left / (1 + REFIT_MARGIN))
            fit_s = self._clock() - start
        heat = self._ask(model, self._trial.heat)
        apart = heat - self._heat
        if len(apart) > 1 and apart.mean() < -LAG * apart.std(ddof=1) / np.sqrt(len(apart)):
            return replace(best, dropped=best.dropped + 1)
        values = self._ask(model, self._trial.exam)
        if values.mean() <= best.values.mean():
            return best
        self._heat = heat
        return replace(best, settings=settings, values=values, model=model, fit_s=fit_s)

    def _spec(self, settings: Mapping[str, Any]) -> Spec:
        return specs.make(self._entrant.plugin, {**self._entrant.fixed, **settings})

    def _fit(self, settings: Mapping[str, Any], limit_s: float) -> Model:
        exam, watch = self._trial.exam, silent
        if isfinite(limit_s) and not self.guess_s():  # a fit with a guess was let in by it
            watch = Watch(limit_s, self._clock)
        return self._spec(settings).fit(exam.split.train, rng=exam.seed, progress=watch)

    def _ask(self, model: Model, exam: Exam) -> PerUser:
        return self._trial.mark(model.retrieve(exam.queries, self._trial.k), exam)


def learnt(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that change what a model learns."""
    return {key: value for key, value in settings.items() if key not in ANSWER_ONLY}

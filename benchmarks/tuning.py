"""Choose settings on validation, one axis at a time."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.lineup import ANSWER_ONLY, Axes
from endcap.evaluate.exam import Exam
from endcap.evaluate.metrics import per_user
from endcap.models import specs
from endcap.models.base import Model
from endcap.models.candidates import Candidates

DEPTH = 200
"""Candidates kept of each list, for blending."""


class Choice(NamedTuple):
    """The settings that did best on validation, how well, and what they answered there."""

    settings: dict[str, Any]
    score: float
    trials: int
    lists: Candidates


def tune(name: str, axes: Axes, trial: Exam, k: int) -> Choice:
    """Search each axis in turn from the best so far, by NDCG@k of the users with a history."""
    bench = _Bench(name, trial)
    settings: dict[str, Any] = {key: values[0] for key, values in axes.items()}
    lists = bench.answer(settings)
    best = Choice(settings, mark(lists, trial, k), 1, lists)
    trials = 1
    for key, values in axes.items():
        for value in values[1:]:
            settings = best.settings | {key: value}
            lists = bench.answer(settings)
            trials += 1
            score = mark(lists, trial, k)
            if score > best.score:
                best = Choice(settings, score, trials, lists)
    return best._replace(trials=trials)


def mark(lists: Candidates, exam: Exam, k: int) -> float:
    """Return NDCG@k of the users with a history."""
    values = per_user(lists, exam.targets, (k,))[f"ndcg@{k}"]
    return float(np.mean(values[exam.warm]))


class _Bench:
    """Fits a model, and again only when a setting that changes what it learns has changed."""

    def __init__(self, name: str, trial: Exam) -> None:
        self._name, self._trial = name, trial
        self._fitted: tuple[dict[str, Any], Model] | None = None

    def answer(self, settings: dict[str, Any]) -> Candidates:
        spec = specs.make(self._name, settings)
        learnt = {key: value for key, value in settings.items() if key not in ANSWER_ONLY}
        if self._fitted is None or self._fitted[0] != learnt:
            self._fitted = None  # let go of the old one first: some are large
            model = spec.fit(self._trial.split.train, rng=self._trial.seed)
            self._fitted = (learnt, model)
        model = replace(self._fitted[1], spec=spec)
        return model.retrieve(self._trial.queries, DEPTH)

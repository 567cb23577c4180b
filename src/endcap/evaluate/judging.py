"""Mark one model's answers to an exam."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from endcap.evaluate import beyond, breakdown
from endcap.evaluate.breakdown import Band
from endcap.evaluate.exam import Exam
from endcap.evaluate.intervals import Interval, bootstrap, centred, percentile, resamples
from endcap.evaluate.metrics import PerUser, per_user
from endcap.evaluate.ratings import RatingError
from endcap.models.candidates import Candidates

AUDIENCE_DRAWS: Final = 200
"""Resamples for measures of the whole audience, each of which counts all items anew."""

Exposure = Callable[[npt.NDArray[np.float64]], PerUser]
AUDIENCE: Final[dict[str, Exposure]] = {"coverage": beyond.coverage, "gini": beyond.gini}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model took: seconds on the clock and of processors, and peak memory in MiB."""

    fit_s: float = float("nan")
    fit_cpu_s: float = float("nan")
    answer_s: float = float("nan")
    answer_cpu_s: float = float("nan")
    peak_mb: float = float("nan")


@dataclass(frozen=True)
class Result:
    """One model's marks.

    Attributes
    ----------
    name, settings
        Which model, and the settings of its spec.
    per_user
        float64 (n,) for each metric, over all n users of the exam, cold ones included.
    figures, intervals
        Means over the users with a history (``"ndcg@10"`` …) and measures of the whole audience.
    by_history, by_popularity, places_taken
        Slices at the first k; see `breakdown`.
    cost
        Time and memory.
    ratings
        Errors of predicted stars, for models and data that have them.
    """

    name: str
    per_user: dict[str, PerUser] = field(repr=False)
    figures: dict[str, float]
    intervals: dict[str, Interval]
    by_history: list[Band] = field(repr=False)
    by_popularity: list[Band] = field(repr=False)
    places_taken: list[Band] = field(repr=False)
    cost: Cost = Cost()
    settings: dict[str, Any] = field(default_factory=dict)
    ratings: RatingError | None = None


def judge(
    name: str,
    lists: Candidates,
    exam: Exam,
    ks: Sequence[int] = (10, 20),
    *,
    cost: Cost = Cost(),
    settings: dict[str, Any] | None = None,
    ratings: RatingError | None = None,
) -> Result:
    """Mark ranked lists, whoever made them.

    Parameters
    ----------
    lists
        One for each query of `exam`, best first, at least ``max(ks)`` long where possible.
    ks
        Where lists are cut; the first is the one that is compared.
    """
    values = per_user(lists, exam.targets, ks)
    for k in ks:
        values |= _list_measures(lists.top(k), exam, k)
    names = list(values)
    known = np.column_stack([values[key] for key in names])[exam.warm]
    drawn = bootstrap(known, seed=exam.seed)
    figures = dict(zip(names, _means(known), strict=True))
    intervals = dict(zip(names, percentile(drawn), strict=True))
    for k in ks:
        audience_figures, audience_intervals = _audience(lists.top(k), exam, k)
        figures |= audience_figures
        intervals |= audience_intervals
    first = lists.top(ks[0])
    return Result(
        name,
        values,
        figures,
        intervals,
        breakdown.by_history(exam, values[f"ndcg@{ks[0]}"]),
        breakdown.by_popularity(exam, first),
        breakdown.places_taken(exam, first),
        cost,
        settings or {},
        ratings,
    )


def _list_measures(lists: Candidates, exam: Exam, k: int) -> dict[str, PerUser]:
    shown = beyond.membership(lists, len(exam.buyers))
    users = int(exam.counts["train_users"])
    out = {
        f"novelty@{k}": beyond.novelty(shown, exam.buyers, users),
        f"popular_share@{k}": beyond.popular_share(shown, exam.buyers),
    }
    if exam.vectors is not None:
        out[f"diversity@{k}"] = beyond.diversity(shown, exam.vectors)
    if exam.groups is not None:
        out[f"miscalibration@{k}"] = beyond.miscalibration(exam.history, shown, exam.groups.matrix)
    return out


def _audience(
    lists: Candidates, exam: Exam, k: int
) -> tuple[dict[str, float], dict[str, Interval]]:
    shown = beyond.membership(lists, len(exam.buyers))[exam.warm]
    once = np.asarray(shown.sum(axis=0)).ravel()
    drawn: dict[str, list[PerUser]] = {name: [] for name in AUDIENCE}
    for weights in resamples(shown.shape[0], AUDIENCE_DRAWS, exam.seed):
        for start in range(0, len(weights), 16):
            exposure = weights[start : start + 16] @ shown
            for name, measure in AUDIENCE.items():
                drawn[name].append(measure(exposure))
    figures = {f"{name}@{k}": float(measure(once)) for name, measure in AUDIENCE.items()}
    intervals = {
        f"{name}@{k}": centred(np.concatenate(parts), figures[f"{name}@{k}"])
        for name, parts in drawn.items()
    }
    return figures, intervals


def _means(values: npt.NDArray[np.float64]) -> list[float]:
    known = ~np.isnan(values)
    sums = np.where(known, values, 0.0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: list[float] = (sums / known.sum(axis=0)).tolist()
    return means

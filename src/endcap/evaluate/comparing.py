"""Fit models on the same data, ask them the same questions, and compare."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from endcap.evaluate.comparison import Comparison
from endcap.evaluate.exam import Exam
from endcap.evaluate.intervals import against_best
from endcap.evaluate.judging import Cost, Result, judge
from endcap.evaluate.meter import Meter
from endcap.evaluate.ratings import RatingError, rating_error
from endcap.models import specs
from endcap.models.base import Model, RatingModel, Spec
from endcap.models.candidates import Candidates
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import Rule, Split, Temporal
from endcap.schema.errors import EndcapError
from endcap.schema.progress import Progress, silent

BASELINES: Final = ("popular", "item-knn")
"""Always in a comparison: what needs no learning, and the best simple method."""


def evaluate(
    models: Mapping[str, Spec],
    data: Dataset,
    *,
    split: Rule | Split | None = None,
    ks: Sequence[int] = (10, 20),
    exclude_seen: bool = True,
    max_users: int | None = None,
    baselines: Sequence[str] = BASELINES,
    seed: int = 0,
    progress: Progress = silent,
) -> Comparison:
    """Fit every model on the past and mark it on the future, ranking all items.

    Parameters
    ----------
    models
        Specs by name. A model that cannot be fitted (not enough memory, data it cannot use) is
        named among the `skipped` with its reason, and the others go on.
    data
        The whole data set; models see only its training part.
    split
        How to cut (default: `Temporal`, the last 28 days), or parts cut already.
    ks
        Where lists are cut; models are ordered by NDCG at the first.
    exclude_seen
        Ask for new items only (see `Exam.of`).
    max_users
        Ask at most this many users; None asks all.
    baselines
        Registered models that join under their own names unless `models` has the name.
    seed
        Of fitting, of sampled users and of the bootstrap.

    Examples
    --------
    >>> from endcap.models.specs import make
    >>> comparison = evaluate({"ease": make("ease")}, data)  # doctest: +SKIP
    >>> comparison.write_html("report.html")  # doctest: +SKIP
    """
    rule = Temporal() if split is None else split
    parts = rule if isinstance(rule, Split) else rule.apply(data)
    exam = Exam.of(parts, exclude_seen=exclude_seen, max_users=max_users, seed=seed)
    entrants = {name: specs.make(name) for name in baselines if name not in models} | dict(models)
    results: list[Result] = []
    skipped: dict[str, str] = {}
    for done, (name, spec) in enumerate(entrants.items()):
        progress(done, len(entrants), name)
        try:
            results.append(examine(name, spec, exam, ks))
        except (EndcapError, MemoryError) as error:
            skipped[name] = str(error) or "not enough memory"
    progress(len(entrants), len(entrants), "")
    return compare(exam, results, ks, skipped)


def examine(name: str, spec: Spec, exam: Exam, ks: Sequence[int] = (10, 20)) -> Result:
    """Fit one model on the training part of an exam and mark its answers."""
    model, fitting = fit(spec, exam)
    lists, answering = answer(model, exam, max(ks))
    settings = spec.model_dump(mode="json")
    cost = total_cost(fitting, answering)
    return judge(name, lists, exam, ks, cost=cost, settings=settings, ratings=_stars(model, exam))


def fit(spec: Spec, exam: Exam) -> tuple[Model, Meter]:
    """Fit on the training part of an exam."""
    with Meter() as meter:
        model = spec.fit(exam.split.train, rng=exam.seed)
    return model, meter


def answer(model: Model, exam: Exam, k: int) -> tuple[Candidates, Meter]:
    """Ask a model all the questions of an exam."""
    with Meter() as meter:
        lists = model.retrieve(exam.queries, k)
    return lists, meter


def total_cost(fitting: Meter, answering: Meter) -> Cost:
    """Put two measured blocks into one account."""
    return Cost(
        fitting.wall_s,
        fitting.cpu_s,
        answering.wall_s,
        answering.cpu_s,
        max(fitting.peak_mb, answering.peak_mb),
    )


def compare(
    exam: Exam,
    results: Sequence[Result],
    ks: Sequence[int],
    skipped: Mapping[str, str] | None = None,
) -> Comparison:
    """Put marks side by side, best first, each against the best on the same users."""
    metric = f"ndcg@{ks[0]}"
    ranked = sorted(results, key=lambda result: -result.figures[metric])
    values = np.column_stack([result.per_user[metric][exam.warm] for result in ranked])
    _, paired = against_best(values, seed=exam.seed)
    return Comparison(
        tuple(ranked),
        tuple(paired),
        metric,
        tuple(ks),
        exam.split.protocol,
        exam.exclude_seen,
        exam.seed,
        exam.split.train.fingerprint,
        exam.counts,
        dict(skipped or {}),
    )


def _stars(model: Model, exam: Exam) -> RatingError | None:
    held = exam.split.held
    given = held.column("value")
    rated = np.isfinite(given)
    if not isinstance(model, RatingModel) or not rated.any():
        return None
    users, items = held.column("user")[rated], held.column("item")[rated]
    asked = np.full_like(users, -1) if exam.split.strangers else users
    return rating_error(users, model.predict(asked, items), given[rated], seed=exam.seed)

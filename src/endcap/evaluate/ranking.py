"""Learn the second stage on what the retrievers have not seen, and say whether it pays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from endcap.evaluate.exam import Exam
from endcap.evaluate.intervals import Interval, bootstrap, percentile
from endcap.evaluate.metrics import PerUser, per_user
from endcap.evaluate.pool import blocks, pool
from endcap.models.base import Model
from endcap.models.candidates import Candidates
from endcap.models.queries import Queries
from endcap.models.ranking import ItemFacts, Ranker, feature_names, features
from endcap.recommend.second import DEPTH, opinions, recent
from endcap.schema.errors import ConfigError, DataError

ENOUGH_LISTS: Final = 5_000
"""Shoppers with something to foresee, below which trees would learn chance."""
PARTS: Final = (0.6, 0.1, 0.3)
"""Of the shoppers: to grow trees on, to stop growing by, and to judge by."""
LATE_PARTS: Final = (0.0, 0.3, 0.7)
"""The same where trees grow on the shoppers of earlier windows."""
ROUNDS: Final = 400
PATIENCE: Final = 40
SETTINGS: Final[Mapping[str, Any]] = {
    "objective": "lambdarank",
    "metric": "ndcg",
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Lists:
    """The best candidates of a blend for many queries, and what each member says of them.

    Attributes
    ----------
    candidates
        At most `DEPTH` for each query, with the score of the blend, best first.
    names, shares
        m names, and float32 (m, nnz): what each says.
    """

    candidates: Candidates
    names: tuple[str, ...]
    shares: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Lesson:
    """The shoppers of one moment, and all that trees may learn from.

    Attributes
    ----------
    exam, candidates
        The shoppers and their lists, best first by the blend.
    opinions, kinds, facts
        As in a `Ranker`.
    rows
        float32 (nnz, n_features): of each candidate.
    """

    exam: Exam
    candidates: Candidates
    opinions: tuple[str, ...]
    kinds: tuple[str, ...]
    facts: ItemFacts
    rows: npt.NDArray[np.float32]

    @classmethod
    def of(cls, models: Mapping[str, Model], weights: Mapping[str, float], exam: Exam) -> "Lesson":
        """Ask models that were fitted on what was before the moment."""
        lists = best_lists(models, weights, exam.queries)
        facts, kinds = ItemFacts.of(exam.split.train), exam.split.train.kind_names
        rows = features(facts, kinds, exam.queries, lists.candidates, lists.shares)
        return cls(exam, lists.candidates, lists.names, kinds, facts, rows)

    def of_lists(
        self, chosen: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """Return rows, hits and sizes of the chosen lists that hold a hit: others teach no order.

        Parameters
        ----------
        chosen
            bool (n,).
        """
        owner, width = self.candidates.query_of, self.exam.split.train.shape[1]
        targets = self.exam.targets
        hit = np.isin(owner * width + self.candidates.items, targets.owner * width + targets.items)
        useful = chosen & (np.bincount(owner[hit], minlength=len(self.exam)) > 0)
        taken = useful[owner]
        return self.rows[taken], hit[taken], np.diff(self.candidates.indptr)[useful]


@dataclass(frozen=True)
class Ranked:
    """A ranker, and what it gained over the blend for shoppers it was not grown on.

    Attributes
    ----------
    gain, interval
        Mean difference of NDCG@k, and its 95 % bootstrap interval (paired over shoppers).
    blend, lists
        NDCG@k of the blend for the same shoppers, and how many lists the trees learned from.
    importance
        Feature -> share of the gain of all splits, the largest first.
    judges
        int32: rows of the shoppers by whom it was judged, and from whom it learned nothing.
    """

    ranker: Ranker
    gain: float
    interval: Interval
    blend: float
    lists: int
    importance: dict[str, float]
    judges: npt.NDArray[np.int32]

    @property
    def pays(self) -> bool:
        """Whether the gain is above 0 beyond doubt."""
        return self.interval.low > 0

    def facts(self) -> dict[str, Any]:
        """Return what there is to tell, as JSON-ready values."""
        return {
            "gain": self.gain,
            "interval": list(self.interval),
            "blend": self.blend,
            "lists": self.lists,
            "kept": self.pays,
            "importance": dict(list(self.importance.items())[:10]),
        }


def learn_ranker(
    models: Mapping[str, Model],
    weights: Mapping[str, float],
    exam: Exam,
    k: int = 10,
    *,
    earlier: Iterable[tuple[Mapping[str, Model], Exam]] = (),
    enough: int = ENOUGH_LISTS,
    rounds: int = ROUNDS,
    settings: Mapping[str, Any] = SETTINGS,
) -> Ranked:
    """Grow LambdaMART (Burges 2010) over the candidates of a blend.

    Each shopper of the exam is a list; relevant is what they did after the cut, which neither
    `models` nor the facts of the items have seen. The shoppers are drawn apart: trees grow on
    some, stop growing by others, and are judged by the rest.

    Parameters
    ----------
    models, weights
        The blend, fitted on the training part of the exam's split.
    exam
        The shoppers.
    k
        NDCG@k is what the trees maximise, and what they are judged by.
    earlier
        The same models fitted on what was before an earlier moment, and the shoppers of then:
        trees grow on those, and the shoppers of `exam` only stop and judge them. Where one window
        has too few shoppers, several have enough.
    enough
        With fewer lists none is grown.
    rounds, settings
        At most so many trees, and LightGBM's parameters.

    Raises
    ------
    DataError
        When fewer than `enough` shoppers have a history and a target.
    ConfigError
        When LightGBM is not installed.
    """
    windows = [(models, exam), *earlier]
    able = sum(int(one.warm.sum()) for _, one in windows)
    if able < enough:
        raise DataError(f"{able:,} lists are too few for a ranker: {enough:,}.")
    lessons = [Lesson.of(then, weights, one) for then, one in windows]
    parts = _parts(exam, LATE_PARTS if len(lessons) > 1 else PARTS)
    told = [parts, *(np.zeros(len(one.exam), np.int64) for one in lessons[1:])]
    asked = {**settings, "eval_at": [k], "seed": exam.seed}
    booster = _grow(lessons, told, rounds, asked)
    lists = sum(int((part == 0).sum()) for part in told)
    return _judged(lessons[0], booster, exam.warm & (parts == 2), k, lists)


def _judged(
    lesson: Lesson, booster: Any, judged: npt.NDArray[np.bool_], k: int, lists: int
) -> Ranked:
    """Compare trees with the blend on some shoppers of a lesson."""
    exam = lesson.exam
    ranker = Ranker(lesson.opinions, lesson.kinds, lesson.facts, booster.model_to_string())
    scores = ranker.trees.predict(lesson.rows).astype(np.float32)
    again = lesson.candidates.with_scores(scores).sorted()
    before, after = (_ndcg(found, exam, k)[judged] for found in (lesson.candidates, again))
    (interval,) = percentile(bootstrap((after - before)[:, None], seed=exam.seed))
    grown = booster.feature_importance("gain")
    order, names = np.argsort(-grown, kind="stable"), feature_names(ranker.members, ranker.kinds)
    return Ranked(
        ranker,
        float((after - before).mean()),
        interval,
        float(before.mean()),
        lists,
        {names[f]: float(grown[f] / max(grown.sum(), 1e-12)) for f in order if grown[f]},
        exam.queries.users[judged],
    )


def best_lists(
    models: Mapping[str, Model],
    weights: Mapping[str, float],
    queries: Queries,
    depth: int = DEPTH,
) -> Lists:
    """Return the best of a blend with every opinion that a ranker reads, in blocks."""
    asked = {name: models[name] for name in weights}
    names = opinions(asked, tuple(asked))
    rows: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]] = []
    shares = [np.empty((len(names), 0), np.float32)]
    for piece in blocks(asked, queries):
        best, said = pool(asked, piece).cut(weights, depth)
        rows += [best.row(q) for q in range(len(best))]
        shares.append(np.stack((*said, *recent(asked, tuple(asked), piece, best))))
    candidates = Candidates.of([items for items, _ in rows], [scores for _, scores in rows])
    return Lists(candidates, names, np.concatenate(shares, axis=1))


def rank_lists(
    models: Mapping[str, Model],
    weights: Mapping[str, float],
    ranker: Ranker,
    queries: Queries,
    k: int,
) -> Candidates:
    """Return the k best of a blend as the ranker orders them."""
    lists = best_lists(models, weights, queries)
    scores = ranker.score(queries, lists.candidates, lists.shares)
    return lists.candidates.with_scores(scores).sorted().top(k)


def odds(lists: Candidates) -> Candidates:
    """Return lists of a ranker with the scores of serving, ``exp(s - max s)``; see `rank_again`."""
    scores = lists.scores.astype(np.float64)
    best = np.full(len(lists), -np.inf)
    np.maximum.at(best, lists.query_of, scores)
    return lists.with_scores(np.exp(scores - best[lists.query_of]).astype(np.float32))


def _parts(exam: Exam, shares: tuple[float, ...]) -> npt.NDArray[np.int64]:
    """Return int64 (n,): 0 for who is learned from, 1 for who stops it, 2 for who judges."""
    drawn = np.random.default_rng([exam.seed, 7]).permutation(len(exam)) / max(1, len(exam))
    return np.searchsorted(np.cumsum(shares)[:2], drawn, side="right")


def _grow(
    lessons: Sequence[Lesson],
    parts: Sequence[npt.NDArray[np.int64]],
    rounds: int,
    settings: Mapping[str, Any],
) -> Any:
    """Grow on the lists of part 0 until those of part 1 gain no more."""
    try:
        import lightgbm
    except ImportError as error:
        raise ConfigError("A ranker needs LightGBM.", hint="pip install 'endcap[rank]'") from error
    names = feature_names(lessons[0].opinions, lessons[0].kinds)
    sets: list[Any] = []
    for part in (0, 1):
        taken = [one.of_lists(told == part) for one, told in zip(lessons, parts, strict=True)]
        rows, hit, sizes = (np.concatenate(column) for column in zip(*taken, strict=True))
        sets.append(
            lightgbm.Dataset(
                rows,
                hit.astype(np.int32),
                group=sizes,
                feature_name=list(names),
                reference=sets[0] if sets else None,
            )
        )
    return lightgbm.train(
        dict(settings),
        sets[0],
        rounds,
        valid_sets=[sets[1]],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )


def _ndcg(lists: Candidates, exam: Exam, k: int) -> PerUser:
    return per_user(lists.top(k), exam.targets, (k,))[f"ndcg@{k}"]

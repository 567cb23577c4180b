"""Learn the second stage on what the retrievers have not seen, and say whether it pays."""

from collections.abc import Mapping
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
    """

    ranker: Ranker
    gain: float
    interval: Interval
    blend: float
    lists: int
    importance: dict[str, float]

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
    if exam.warm.sum() < enough:
        raise DataError(f"{int(exam.warm.sum()):,} lists are too few for a ranker: {enough:,}.")
    lists = best_lists(models, weights, exam.queries)
    facts, kinds = ItemFacts.of(exam.split.train), exam.split.train.kind_names
    rows = features(facts, kinds, exam.queries, lists.candidates, lists.shares)
    parts = _parts(exam)
    names = feature_names(lists.names, kinds)
    asked = {**settings, "eval_at": [k], "seed": exam.seed}
    booster = _grow(rows, lists.candidates, exam, parts, names, rounds, asked)
    ranker = Ranker(lists.names, kinds, facts, booster.model_to_string())
    again = lists.candidates.with_scores(ranker.trees.predict(rows).astype(np.float32)).sorted()
    judged = exam.warm & (parts == 2)
    before, after = (_ndcg(found, exam, k)[judged] for found in (lists.candidates, again))
    (interval,) = percentile(bootstrap((after - before)[:, None], seed=exam.seed))
    grown = booster.feature_importance("gain")
    order = np.argsort(-grown, kind="stable")
    return Ranked(
        ranker,
        float((after - before).mean()),
        interval,
        float(before.mean()),
        int((parts == 0).sum()),
        {names[f]: float(grown[f] / max(grown.sum(), 1e-12)) for f in order if grown[f]},
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


def _parts(exam: Exam) -> npt.NDArray[np.int64]:
    """Return int64 (n,): 0 for who is learned from, 1 for who stops it, 2 for who judges."""
    drawn = np.random.default_rng([exam.seed, 7]).permutation(len(exam)) / max(1, len(exam))
    return np.searchsorted(np.cumsum(PARTS)[:2], drawn, side="right")


def _grow(  # noqa: PLR0917
    rows: npt.NDArray[np.float32],
    candidates: Candidates,
    exam: Exam,
    parts: npt.NDArray[np.int64],
    names: tuple[str, ...],
    rounds: int,
    settings: Mapping[str, Any],
) -> Any:
    try:
        import lightgbm
    except ImportError as error:
        raise ConfigError("A ranker needs LightGBM.", hint="pip install 'endcap[rank]'") from error
    width = exam.split.train.shape[1]
    wanted = exam.targets.owner * width + exam.targets.items
    hit = np.isin(candidates.query_of * width + candidates.items, wanted)
    useful = np.bincount(candidates.query_of[hit], minlength=len(exam)) > 0
    sets: list[Any] = []
    for part in (0, 1):
        lists = (parts == part) & useful
        chosen = lists[candidates.query_of]
        sets.append(
            lightgbm.Dataset(
                rows[chosen],
                hit[chosen].astype(np.int32),
                group=np.diff(candidates.indptr)[lists],
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

"""Explicit ratings: RMSE and MAE over folds, by default the five official ones of MovieLens 100K.

A folder with a `rating` column is cut by its `split` column where there is one, else into five
random folds. Settings are the defaults of each model; they were chosen on validation rows carved
out of a training part (docs/models/fm.md, docs/models/biased-mf.md), never on test rows.

    python -m benchmarks ratings
    python -m benchmarks ratings --data DIR --peers surprise,lenskit
"""

from typing import Any

import numpy as np

from benchmarks import data, report
from benchmarks.movielens import ml_100k
from benchmarks.peers.ratings_calling import ask_peers
from endcap.evaluate.meter import Meter
from endcap.evaluate.ratings import rating_error
from endcap.models.base import RatingModel, Spec
from endcap.models.biased_mf import BiasedMF
from endcap.models.fm import FM
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import DataError

OURS: dict[str, Spec] = {
    "fm": FM(),
    "biased-mf": BiasedMF(),
    "biased-mf (sgd)": BiasedMF(solver="sgd", factors=40, l2=0.08, epochs=40),
    "biased-mf (als)": BiasedMF(solver="als", factors=10, l2=0.15),
}
"""The first is the one whose figures are printed: it was the best on validation rows."""
Predictions = list[np.ndarray]


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default MovieLens 100K."""
    args = report.parser(__doc__).parse_args(argv)
    with Meter() as meter:
        source, folds, protocol = _source(args)
        tests = [folds == f for f in range(folds.max() + 1)][: 1 if args.quick else None]
        rows: dict[str, dict[str, Any]] = {}
        for name, spec in OURS.items():
            rows[name] = _marks(source, tests, *_fit(source, tests, name, spec, args))
        peers, absent = ask_peers(args.peers, source, tests)
        rows |= {n: _marks(source, tests, *found) for n, found in peers.items()}
    report.show(f"RMSE: {protocol}", {n: _columns(row) for n, row in rows.items()})
    for name, reason in absent.items():
        report.say(f"{name}: {reason}")
    chosen = rows[next(iter(OURS))]
    return report.outcome(
        meter,
        protocol=protocol,
        figures=chosen["figures"],
        intervals=chosen["intervals"],
        models={n: row for n, row in rows.items() if n in OURS},
        peers={n: row for n, row in rows.items() if n not in OURS},
        absent=absent,
        seed=args.seed,
        fingerprint=source.fingerprint,
    )


def _source(args: Any) -> tuple[Dataset, np.ndarray, str]:
    """Return the data, the fold that tests each row (-1: none) and the protocol in words."""
    if args.data is None:
        return *ml_100k(), "MovieLens 100K, official folds u1 … u5"
    folder = data.load(data.find(args.data, ""))
    if np.isnan(folder.data.column("value")).any():
        hint = "This benchmark needs a `rating` in every row."
        raise DataError(f"{folder.name} has rows without a rating.", hint=hint)
    if folder.labels is not None and "test" in folder.labels:
        return (
            folder.data,
            np.where(folder.labels == "test", 0, -1),
            f"{folder.name}, its own split",
        )
    shuffled = np.random.default_rng(args.seed).permutation(len(folder.data.column("value")))
    return folder.data, shuffled % 5, f"{folder.name}, 5 random folds, seed {args.seed}"


def _fit(
    source: Dataset, tests: list[np.ndarray], name: str, spec: Spec, args: Any
) -> tuple[Predictions, float]:
    found: Predictions = []
    with Meter() as meter:
        for number, test in enumerate(tests, start=1):
            report.say(f"{name}: fold {number} of {len(tests)}")
            model = spec.fit(source.where(~test), args.seed)
            assert isinstance(model, RatingModel)
            found.append(model.predict(source.column("user")[test], source.column("item")[test]))
    return found, meter.cpu_s / len(tests)


def _marks(
    source: Dataset, tests: list[np.ndarray], found: Predictions, cpu_s: float
) -> dict[str, Any]:
    """Return the mean over folds as figures, one number for each fold, intervals over users."""
    given, users = source.column("value"), source.column("user")
    apart = [p - given[test] for p, test in zip(found, tests, strict=True)]
    each = [float(np.sqrt(np.mean(x**2))) for x in apart]
    pooled = np.concatenate([np.flatnonzero(test) for test in tests])
    error = rating_error(users[pooled], np.concatenate(found), given[pooled])
    mae = float(np.mean([np.mean(np.abs(x)) for x in apart]))
    return {
        "figures": {"rmse": float(np.mean(each)), "mae": mae, "fit_cpu_s": cpu_s},
        "intervals": {"rmse": error.rmse_interval, "mae": error.mae_interval},
        "folds": each,
    }


def _columns(row: dict[str, Any]) -> dict[str, Any]:
    folds = {f"fold {n}": value for n, value in enumerate(row["folds"], start=1)}
    return {**folds, "mean": row["figures"]["rmse"], **row["figures"]}

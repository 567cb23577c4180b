"""From a score and a place to a chance: how often a shopper clicks or buys what stands there.

The chance of an outcome is read off in two steps, both learnt on shoppers the models have not seen:
logistic regression on the logarithms of score and place (Platt 1999), then isotonic regression on
its sums (Zadrozny and Elkan 2002), which bends the curve to what was counted and keeps its order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
import numpy.typing as npt

from endcap.models.store import publishing, read_manifest, write_manifest

Outcome = Literal["click", "purchase"]
OUTCOMES: Final[Mapping[Outcome, tuple[str, ...]]] = {
    "click": ("view", "click"),
    "purchase": ("purchase",),
}
"""Outcome -> the kinds of event that count as one."""
ENOUGH: Final = 50
"""Outcomes below which a curve would be chance."""
BINS: Final = 200
"""Groups of equal size that isotonic regression is run on: a curve has at most so many knots."""
RELIABILITY_BINS: Final = 15
RIDGE: Final = 1e-3
STEPS: Final = 50
FLOOR: Final = 1e-6
"""A score as low as this is as good as none."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """The chance of one outcome for what one level proposes.

    Attributes
    ----------
    weights
        float64 (3,): of 1, log score and log place (from 1).
    sums, chances
        float64 (m,) each, rising: between two knots the chance is on the line.
    """

    weights: Floats
    sums: Floats
    chances: Floats

    @classmethod
    def fit(
        cls,
        scores: Floats,
        places: npt.NDArray[np.int64],
        hits: npt.NDArray[np.bool_],
        enough: int = ENOUGH,
    ) -> Self | None:
        """Learn from n candidates; None where fewer than `enough` of them are hits.

        Parameters
        ----------
        scores, places, hits
            float64, int64 (from 1) and bool (n,): what was proposed, and whether it was taken up.
        """
        if hits.sum() < enough:
            return None
        rows = _features(scores, places)
        weights = _logistic(rows, hits)
        # A better score, or a better place, never makes an outcome less likely.
        wrong = [column for column, sign in ((1, 1), (2, -1)) if weights[column] * sign < 0]
        if wrong:
            rows[:, wrong] = 0.0
            weights = _logistic(rows, hits)
        sums = rows @ weights
        return cls(weights, *_isotonic(sums, hits))

    def __call__(self, scores: Floats, places: npt.NDArray[np.int64]) -> Floats:
        """Return float64 (n,): the chance of each candidate."""
        sums = _features(scores, places) @ self.weights
        return np.interp(sums, self.sums, self.chances)


@dataclass(frozen=True)
class Chances:
    """Curves by level of the chain and by outcome.

    Attributes
    ----------
    curves
        (level, outcome) -> curve; what could not be learnt is not there.
    facts
        What there is to tell of how they were learnt, JSON-ready.
    """

    curves: Mapping[tuple[str, str], Curve]
    facts: Mapping[str, object]


def calibration_error(
    chances: Floats, hits: npt.NDArray[np.bool_], bins: int = RELIABILITY_BINS
) -> float:
    """Return the expected calibration error (Naeini et al. 2015), over groups of equal size.

    The mean distance between the chance that was told and the share that came true.
    """
    if not len(chances):
        return float("nan")
    order = np.argsort(chances, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    apart = [len(part) * abs(chances[part].mean() - hits[part].mean()) for part in parts]
    return float(np.sum(apart) / len(order))


def save_chances(chances: Chances, folder: Path) -> None:
    """Write to `folder`, which must not exist: one array, a manifest with hashes."""
    keys = list(chances.curves)
    curves = [chances.curves[key] for key in keys]
    ends = np.cumsum([0, *(len(curve.sums) for curve in curves)]).tolist()
    knots = [np.stack((curve.sums, curve.chances)) for curve in curves]
    with publishing(folder) as draft:
        np.save(draft / "knots.npy", np.concatenate([np.zeros((2, 0)), *knots], axis=1))
        told = [
            {"level": level, "outcome": outcome, "weights": curve.weights.tolist()}
            for (level, outcome), curve in zip(keys, curves, strict=True)
        ]
        write_manifest(draft, {"curves": told, "ends": ends, "facts": dict(chances.facts)})


def load_chances(folder: Path) -> Chances:
    """Read back, the knots memory-mapped.

    Raises
    ------
    ArtefactError
        When a file is missing or changed.
    """
    manifest = read_manifest(folder)
    knots = np.load(folder / "knots.npy", mmap_mode="r", allow_pickle=False)
    ends = manifest["ends"]
    curves = {
        (told["level"], told["outcome"]): Curve(
            np.asarray(told["weights"]), *knots[:, ends[at] : ends[at + 1]]
        )
        for at, told in enumerate(manifest["curves"])
    }
    return Chances(curves, manifest["facts"])


def _features(scores: Floats, places: npt.NDArray[np.int64]) -> Floats:
    logs = np.log(np.maximum(scores, FLOOR)), np.log(places)
    return np.column_stack((np.ones(len(scores)), *logs))


def _logistic(rows: Floats, hits: npt.NDArray[np.bool_]) -> Floats:
    """Return float64 (3,): logistic regression with a slight ridge, by Newton's method."""
    weights = np.zeros(rows.shape[1])
    weights[0] = np.log(hits.mean() / max(1 - hits.mean(), FLOOR))
    ridge = RIDGE * np.array([0.0, 1.0, 1.0])
    for _ in range(STEPS):
        told = 1 / (1 + np.exp(-(rows @ weights)))
        slope = rows.T @ (told - hits) + ridge * weights
        curvature = rows.T @ (rows * (told * (1 - told))[:, None]) + np.diag(ridge + 1e-9)
        step = np.linalg.solve(curvature, slope)
        weights -= np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _isotonic(sums: Floats, hits: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return knots (sum, chance): pool adjacent violators over groups of equal size."""
    order = np.argsort(sums, kind="stable")
    pooled: list[tuple[float, float, int]] = []
    for part in np.array_split(order, min(BINS, len(order))):
        group = (float(sums[part].mean()), float(hits[part].mean()), len(part))
        while pooled and pooled[-1][1] >= group[1]:
            x, y, n = pooled.pop()
            size = n + group[2]
            group = (
                (x * n + group[0] * group[2]) / size,
                (y * n + group[1] * group[2]) / size,
                size,
            )
        pooled.append(group)
    knots = np.array([group[:2] for group in pooled])
    return knots[:, 0], knots[:, 1]

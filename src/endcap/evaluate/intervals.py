"""How sure a figure is: the bootstrap over users, and fair comparisons of several models."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
DRAWS: Final = 1000
LEVEL: Final = 0.95
CHUNK_CELLS: Final = 4_000_000


class Interval(NamedTuple):
    """Bounds that hold the true mean with 95 % confidence."""

    low: float
    high: float


class Paired(NamedTuple):
    """One model against the best, on the same users.

    Attributes
    ----------
    difference
        Mean of (this - best).
    interval
        Of the difference.
    p
        Two-sided, that there is no difference.
    p_holm
        The same after Holm's correction for all the comparisons made.
    """

    difference: float
    interval: Interval
    p: float
    p_holm: float


def resamples(n: int, draws: int = DRAWS, seed: int = 0) -> Iterator[Matrix]:
    """Yield blocks of weights, float64 (b, n): how often each user is in each resample.

    The same (n, draws, seed) yields the same weights, so figures of several models are paired.
    """
    rng = np.random.default_rng(seed)
    block = max(1, CHUNK_CELLS // max(n, 1))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        chosen = rng.integers(0, n, size=(size, n))
        flat = (chosen + np.arange(size)[:, None] * n).ravel()
        yield np.bincount(flat, minlength=size * n).reshape(size, n).astype(np.float64)


def bootstrap(values: Matrix, draws: int = DRAWS, seed: int = 0) -> Matrix:
    """Return the means of each column in each resample of the rows, float64 (draws, m).

    Parameters
    ----------
    values
        float64 (n, m): one row for each user, NaN where a measure says nothing of the user.
    """
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    counted = known.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.concatenate(
            [(w @ filled) / (w @ counted) for w in resamples(len(values), draws, seed)]
        )


def percentile(drawn: Matrix, level: float = LEVEL) -> list[Interval]:
    """Return the middle `level` of each column of ``(draws, m)``; NaN where nothing is known."""
    if not drawn.size:
        return []
    tail = (1 - level) / 2
    known = ~np.isnan(drawn).all(axis=0)
    bounds = np.full((2, drawn.shape[1]), np.nan)
    bounds[:, known] = np.nanquantile(drawn[:, known], [tail, 1 - tail], axis=0)
    return [Interval(float(low), float(high)) for low, high in bounds.T]


def centred(drawn: Matrix, value: float, level: float = LEVEL) -> Interval:
    """Return the interval of a measure of the whole audience, such as coverage.

    A resample has fewer different users than the audience and so covers less: the spread is
    right, the middle is not. The interval is moved to the value measured and cut at 0 and 1.
    """
    spread = percentile((drawn - drawn.mean())[:, None], level)[0]
    return Interval(max(0.0, value + spread.low), min(1.0, value + spread.high))


def holm(p: npt.ArrayLike) -> Matrix:
    """Return p values corrected for being many (Holm 1979), in the order given."""
    raw = np.asarray(p, np.float64)
    order = np.argsort(raw, kind="stable")
    steps = raw[order] * np.arange(len(raw), 0, -1)
    out = np.empty_like(raw)
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return out


def against_best(values: Matrix, draws: int = DRAWS, seed: int = 0) -> tuple[int, list[Paired]]:
    """Compare each column with the one of the highest mean, user by user.

    Parameters
    ----------
    values
        float64 (n, m): the metric of m models for the same n users.

    Returns
    -------
    best, comparisons
        The best column, and one comparison for each column; that of the best says p = 1.
    """
    means = values.mean(axis=0)
    best = int(np.argmax(means))
    apart = values - values[:, [best]]
    drawn = bootstrap(apart, draws, seed)
    below, above = (drawn <= 0).sum(axis=0), (drawn >= 0).sum(axis=0)
    p = np.minimum(1.0, 2 * (np.minimum(below, above) + 1) / (len(drawn) + 1))
    others = np.arange(values.shape[1]) != best
    corrected = np.ones(values.shape[1])
    corrected[others] = holm(p[others])
    bounds = percentile(drawn)
    return best, [
        Paired(float(d), bound, float(raw), float(fair))
        for d, bound, raw, fair in zip(apart.mean(axis=0), bounds, p, corrected, strict=True)
    ]

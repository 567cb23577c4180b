"""How near predicted ratings come to those given."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.evaluate.intervals import Interval, percentile, resamples

Floats = npt.NDArray[np.floating]


class RatingError(NamedTuple):
    """Errors of n predictions, in stars, with intervals over users."""

    n: int
    rmse: float
    mae: float
    rmse_interval: Interval
    mae_interval: Interval


def rating_error(
    users: npt.NDArray[np.integer],
    predicted: Floats,
    given: Floats,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> RatingError:
    """Return RMSE and MAE over all ratings, with bootstrap intervals over users.

    Parameters
    ----------
    users
        int (n,): who gave each rating; the ratings of one user are drawn together.
    predicted, given
        float (n,), no NaN.
    """
    _, who = np.unique(users, return_inverse=True)
    apart = predicted.astype(np.float64) - given.astype(np.float64)
    sums = np.column_stack(
        [np.bincount(who), np.bincount(who, apart**2), np.bincount(who, np.abs(apart))]
    )
    drawn = np.concatenate([w @ sums for w in resamples(len(sums), draws, seed)])
    count, squares, sizes = sums.sum(axis=0)
    bounds = percentile(
        np.column_stack([np.sqrt(drawn[:, 1] / drawn[:, 0]), drawn[:, 2] / drawn[:, 0]])
    )
    return RatingError(
        len(apart), float(np.sqrt(squares / count)), float(sizes / count), bounds[0], bounds[1]
    )

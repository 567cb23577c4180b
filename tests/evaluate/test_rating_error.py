"""RMSE and MAE, and their intervals over users."""

import numpy as np
import pytest

from endcap.evaluate.ratings import rating_error


def test_by_hand() -> None:
    error = rating_error(np.array([0, 0, 1]), np.array([3.0, 4, 5]), np.array([4.0, 4, 2]))
    assert error.n == 3
    assert error.rmse == pytest.approx(np.sqrt(10 / 3))
    assert error.mae == pytest.approx(4 / 3)


def test_the_ratings_of_a_user_are_drawn_together() -> None:
    random = np.random.default_rng(0)
    bias = np.repeat(random.normal(0, 1, 50), 40)
    given = np.zeros(2000)
    together = rating_error(np.repeat(np.arange(50), 40), bias, given)
    apart = rating_error(np.arange(2000), bias, given)
    assert together.rmse == pytest.approx(apart.rmse)
    wide, narrow = (e.rmse_interval.high - e.rmse_interval.low for e in (together, apart))
    assert wide > 3 * narrow
    assert together.rmse_interval.low < together.rmse < together.rmse_interval.high
    assert together.mae_interval.low < together.mae < together.mae_interval.high

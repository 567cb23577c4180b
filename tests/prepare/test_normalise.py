"""Scales are fitted on one set and applied to another."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from endcap.prepare.normalise import Log1p, MinMax, Rank, ZScore

floats = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


@settings(deadline=None)
@given(floats)
def test_z_scores_have_mean_0_and_deviation_1(values):
    found = ZScore.fit(values).apply(values)
    if min(values) == max(values):
        assert not found.any()
    elif np.std(values) > 1e-3:
        assert found.mean() == pytest.approx(0, abs=1e-6)
        assert found.std() == pytest.approx(1, abs=1e-6)


@settings(deadline=None)
@given(floats, floats)
def test_min_max_stays_between_0_and_1(values, others):
    scale = MinMax.fit(values)
    assert ((scale.apply(others) >= 0) & (scale.apply(others) <= 1)).all()
    if max(values) - min(values) > 1e-3:
        assert scale.apply([min(values), max(values)]).tolist() == [0.0, 1.0]


def test_logarithms_keep_sign_and_order():
    found = Log1p.fit([1.0]).apply([-9.0, 0.0, np.e - 1, np.nan])
    assert found[:3] == pytest.approx([-np.log(10), 0.0, 1.0])
    assert np.isnan(found[3])


@settings(deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30))
def test_ranks_are_the_mean_of_ties(values):
    found = Rank.fit(values).apply(values)
    expected = (stats.rankdata(values) - 0.5) / len(values)
    assert found == pytest.approx(expected)


def test_ranks_of_new_values_lie_beside_the_fitted_ones():
    scale = Rank.fit([10.0, 20.0, 20.0, np.nan, 30.0])
    assert scale.apply([5, 10, 15, 20, 99]).tolist() == [0.0, 0.125, 0.25, 0.5, 1.0]
    assert np.isnan(scale.apply([np.nan])).all()


@pytest.mark.parametrize("kind", [ZScore, MinMax, Rank])
def test_nothing_known_is_no_error(kind):
    found = kind.fit([np.nan, np.nan]).apply([1.0, np.nan])
    assert found[0] == 0.0
    assert np.isnan(found[1])

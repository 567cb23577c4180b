"""Intervals cover what they should, comparisons are paired, and Holm is Holm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.evaluate import intervals
from endcap.evaluate.intervals import against_best, bootstrap, centred, holm, percentile, resamples


def test_resamples_draw_n_of_n_and_depend_on_the_seed_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights = np.concatenate(list(resamples(7, 50, seed=3)))
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert (weights == np.concatenate(list(resamples(7, 50, seed=3)))).all()
    assert (weights != np.concatenate(list(resamples(7, 50, seed=4)))).any()
    monkeypatch.setattr(intervals, "CHUNK_CELLS", 14)
    blocks = list(resamples(7, 50, seed=3))
    assert len(blocks) == 25
    assert (np.concatenate(blocks) == weights).all()


def test_bootstrap_of_a_mean_has_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(2, 3, size=(400, 1))
    drawn = bootstrap(values, draws=4000)
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.02)
    assert drawn.std() == pytest.approx(values.std() / 20, rel=0.05)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        values = random.exponential(1.0, size=(80, 1))
        low, high = percentile(bootstrap(values, draws=300, seed=trial))[0]
        covered += low <= 1.0 <= high
    assert 175 <= covered <= 200  # 95 % of 200 is 190; the bootstrap is a little short at n = 80


def test_what_is_not_known_of_a_user_does_not_count() -> None:
    values = np.array([[1.0, np.nan], [3.0, 5.0], [np.nan, np.nan]])
    drawn = bootstrap(values, draws=500)
    known = drawn[~np.isnan(drawn[:, 0]), 0]
    assert set(np.unique(known)) <= {1.0, 3.0, 5 / 3, 7 / 3, 2.0}
    assert np.nanmin(drawn[:, 1]) == np.nanmax(drawn[:, 1]) == 5.0


def test_percentile_of_nothing_known_is_nan() -> None:
    first, second = percentile(np.column_stack([np.full(10, np.nan), np.arange(10.0)]))
    assert np.isnan(first).all()
    assert second.low < second.high
    assert percentile(np.empty((10, 0))) == []


def test_centred_moves_the_spread_to_the_value_and_stays_within_bounds() -> None:
    drawn = np.linspace(0.2, 0.4, 101)
    low, high = centred(drawn, 0.5)
    assert (low, high) == (pytest.approx(0.405), pytest.approx(0.595))
    assert centred(drawn, 0.99).high == 1.0
    assert centred(drawn, 0.01).low == 0.0


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_between_the_raw_value_and_bonferroni(p: list[float]) -> None:
    fair = holm(p)
    assert (fair >= np.array(p)).all()
    assert (fair <= np.minimum(1, np.array(p) * len(p)) + 1e-12).all()
    assert (np.argsort(fair, kind="stable")[np.argsort(p, kind="stable")] >= 0).all()


def test_a_small_but_steady_difference_is_found_only_because_users_are_paired() -> None:
    random = np.random.default_rng(2)
    base = random.uniform(0, 1, 300)
    worse = base - 0.01 + random.normal(0, 0.02, 300)
    best, (first, second) = against_best(np.column_stack([worse, base]))
    assert best == 1
    assert second.p == second.p_holm == 1.0
    assert second.difference == 0.0
    assert first.difference == pytest.approx(-0.01, abs=0.004)
    assert first.interval.high < 0
    assert first.p_holm <= 0.01
    alone = percentile(bootstrap(np.column_stack([worse, base])))
    assert alone[0].high > alone[1].low  # the plain intervals overlap


def test_equal_models_are_not_told_apart() -> None:
    base = np.random.default_rng(3).uniform(0, 1, 200)
    noise = np.random.default_rng(4).normal(0, 0.2, 200)
    _, comparisons = against_best(np.column_stack([base, base + noise - noise.mean()]))
    assert min(c.p for c in comparisons) > 0.5

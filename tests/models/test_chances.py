"""Chances by score and place: true ones are found again, and kept as they are."""

from pathlib import Path

import numpy as np
import pytest

from endcap.models.chances import (
    Chances,
    Curve,
    calibration_error,
    load_chances,
    save_chances,
)
from endcap.schema.errors import ArtefactError


def drawn(seed: int, n: int = 40_000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores and places, and hits by a chance that no logistic curve has."""
    rng = np.random.default_rng(seed)
    scores, places = rng.random(n), rng.integers(1, 101, n)
    truth = np.where(scores > 0.6, 0.4, 0.02) / np.sqrt(places)
    return scores, places, rng.random(n) < truth, truth


def test_what_is_told_comes_true_for_others() -> None:
    scores, places, hits, _ = drawn(1)
    curve = Curve.fit(scores, places, hits)
    assert curve is not None
    scores, places, hits, truth = drawn(2)
    told = curve(scores, places)
    assert calibration_error(told, hits) < 0.01
    assert calibration_error(np.full(len(hits), 0.5), hits) > 0.4
    assert np.corrcoef(told, truth)[0, 1] > 0.85


def test_a_better_score_or_place_is_never_less_likely() -> None:
    scores, places, hits, _ = drawn(3)
    backwards = Curve.fit(1 - scores, 101 - places, hits)
    assert backwards is not None
    assert (np.diff(backwards(np.linspace(0.01, 1, 50), np.full(50, 5))) >= 0).all()
    assert (np.diff(backwards(np.full(50, 0.5), np.arange(1, 51))) <= 0).all()


def test_too_few_outcomes_teach_nothing() -> None:
    assert Curve.fit(np.ones(100), np.arange(1, 101), np.arange(100) < 10) is None


def test_calibration_error_by_hand() -> None:
    told, hits = np.array([0.2, 0.2, 0.8, 0.8]), np.array([True, False, True, True])
    assert calibration_error(told, hits, bins=2) == pytest.approx((0.3 + 0.2) / 2)


def test_curves_are_read_back_memory_mapped_and_a_changed_file_is_refused(tmp_path: Path) -> None:
    scores, places, hits, _ = drawn(4)
    curve = Curve.fit(scores, places, hits)
    assert curve is not None
    curves = {("personal", "purchase"): curve, ("popular", "click"): curve}
    save_chances(Chances(curves, {"shoppers": 9}), tmp_path / "c")
    again = load_chances(tmp_path / "c")
    assert again.facts == {"shoppers": 9}
    assert list(again.curves) == list(curves)
    kept = again.curves["popular", "click"]
    assert isinstance(kept.sums.base, np.memmap)
    assert (kept(scores, places) == curve(scores, places)).all()
    (tmp_path / "c" / "knots.npy").write_bytes(b"nonsense")
    with pytest.raises(ArtefactError):
        load_chances(tmp_path / "c")

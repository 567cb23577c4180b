"""The shop that speed is measured on, and how times become ratios."""

import numpy as np
from benchmarks.scale import _ratios, _slopes
from benchmarks.scale_data import shop


def test_a_shop_has_the_size_asked_for_and_hides_what_it_asks() -> None:
    drawn = shop(2_000, 2_000, 40_000, seed=1)
    assert drawn.train.shape == (2_000, 2_000)
    assert abs(drawn.train.nnz + drawn.held.nnz - 40_000) < 4_000
    assert drawn.held.nnz
    assert drawn.train[drawn.asked].multiply(drawn.held).nnz == 0
    counts = np.sort(np.bincount(drawn.train.indices, minlength=2_000))
    assert counts[-200:].sum() > 3 * counts[:200].sum()
    again = shop(2_000, 2_000, 40_000, seed=1)
    assert (again.train != drawn.train).nnz == 0


def test_ials_is_timed_to_what_both_reach() -> None:
    ours = {"at_s": [1.0, 2.0], "ndcg@20": [0.2, 0.4], "peak_mb": 50.0, "wall_s": 2.0}
    theirs = {"at_s": [4.0, 8.0], "ndcg@20": [0.1, 0.2], "peak_mb": 100.0, "wall_s": 8.0}
    found = _ratios({"ials endcap": ours, "ials implicit": theirs}, ["implicit"])
    assert found == {"ials time / implicit": 1 / 8, "ials memory / implicit": 0.5}


def test_slopes_are_exponents() -> None:
    found = {size: {"item-knn endcap": {"wall_s": 3 * size**1.5}} for size in (0.25, 0.5, 1.0)}
    assert _slopes(found) == {"item-knn endcap": 1.5}

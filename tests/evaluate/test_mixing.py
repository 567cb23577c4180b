"""Weights of a blend: what one at a time cannot find, and a likelihood whose slope is right."""

import numpy as np
from scipy.optimize import approx_fprime

from endcap.evaluate.exam import Exam
from endcap.evaluate.mixing import Mixer, _surprise, mix
from endcap.evaluate.pool import Pool
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import LastOut

USERS = 400
ITEMS = 30


def exam() -> Exam:
    """Each user has three items; the last is asked."""
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.choice(ITEMS, 3, replace=False) for _ in range(USERS)])
    users = np.repeat(np.arange(USERS), 3)
    data = Dataset.of(
        [f"u{u:03d}" for u in users],
        [f"i{i:02d}" for i in items],
        times=np.tile(np.arange(3), USERS) * 1_000_000,
    )
    return Exam.of(LastOut().apply(data))


def pool(asked: Exam, seed: int = 1) -> Pool:
    """Three models: noisy knowledge in two halves, and one that knows a little of everything."""
    rng = np.random.default_rng(seed)
    n = len(asked)
    width = asked.split.train.shape[1]
    truth = np.zeros((n, width), np.float32)
    truth[asked.targets.owner, asked.targets.items] = 1
    halves = [truth * (np.arange(n) % 2 == side)[:, None] for side in (0, 1)]
    shares = [half + rng.random((n, width)) * 0.9 for half in halves]
    shares.append(truth * 0.5 + rng.random((n, width)))
    rows = np.stack([(s / s.max(axis=1, keepdims=True)).ravel() for s in shares])
    indptr = np.arange(n + 1, dtype=np.int64) * width
    items = np.tile(np.arange(width, dtype=np.int32), n)
    return Pool(("even", "odd", "all"), indptr, items, rows.astype(np.float32))


def test_halves_that_only_together_know_everything_are_found() -> None:
    asked = exam()
    found = mix(pool(asked), asked, 10, {"all": 1.0})
    assert set(found.weights) >= {"even", "odd"}
    assert found.score > 1.3 * Mixer(pool(asked), asked, 10).score({"all": 1.0})


def test_a_model_of_noise_gets_no_likely_weight() -> None:
    asked = exam()
    known = pool(asked)
    noise = np.random.default_rng(2).random(len(known.items)).astype(np.float32)
    both = Pool(("all", "noise"), known.indptr, known.items, np.stack([known.shares[2], noise]))
    weights = Mixer(both, asked, 10).likely()
    assert weights["all"] == 1
    assert weights["noise"] < 0.1


def test_the_slope_is_that_of_the_surprise() -> None:
    rng = np.random.default_rng(3)
    shares, hit = rng.random((3, 20)), rng.random(20) < 0.3
    starts = np.array([0, 7, 12])
    hit[[0, 8, 13]] = True
    weights = rng.random(3)
    value, slope = _surprise(weights, shares, hit, starts)
    assert value > 0
    expected = approx_fprime(weights, lambda w: _surprise(w, shares, hit, starts)[0], 1e-7)
    np.testing.assert_allclose(slope, expected, atol=1e-5)


def test_a_search_never_ends_below_its_start() -> None:
    asked = exam()
    mixer = Mixer(pool(asked), asked, 10)
    for start in ({"all": 1.0}, {"even": 0.3, "odd": 0.7}, mixer.likely()):
        assert mixer.score(mixer.search(start)) >= mixer.score(start) - 1e-12

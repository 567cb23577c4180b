"""Small slates drawn at random, and the best of them by trying all."""

import itertools

import numpy as np
from hypothesis import strategies as st

from endcap.recommend.slates.compose import value_of
from endcap.recommend.slates.problem import MODES, Bound, Problem


def drawn(seed: int, *, rules: int, soft: bool = True) -> Problem:
    """A problem of up to 8 candidates, 4 positions and some rules that may not go together."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    k = min(n, int(rng.integers(1, 5)))
    vectors = rng.random((n, 3)) ** 3 + 1e-3
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    bounds = []
    for at in range(rules):
        codes = rng.integers(-1, 3, n).astype(np.int32)
        lo = int(rng.integers(0, 3)) if rng.random() < 0.6 else 0
        hi = max(lo, int(rng.integers(0, 4))) if rng.random() < 0.6 else 99
        bounds.append(Bound(f"rule {at}", codes, lo, hi, int(rng.integers(1, k + 1))))
    groups = np.eye(3)[rng.integers(0, 3, n)]
    mix = rng.random(3)
    return Problem(
        k,
        np.round(rng.random(n), 3),
        (vectors @ vectors.T).astype(np.float32),
        {int(rng.integers(0, k)): int(rng.integers(0, n))} if rng.random() < 0.3 else {},
        tuple(bounds),
        diversity=float(rng.random() * 0.8) if soft else 0.0,
        method=list(MODES)[int(rng.integers(0, len(MODES)))],  # type: ignore[arg-type]
        window=int(rng.integers(2, 5)),
        calibration=float(rng.random() * 0.5) if soft and rng.random() < 0.5 else 0.0,
        mix=mix / mix.sum(),
        groups=groups,
    )


problems = st.builds(drawn, st.integers(0, 2**32 - 1), rules=st.integers(0, 4), soft=st.booleans())


def best_value(problem: Problem) -> float | None:
    """The value of the best slate that keeps every rule; None if none does."""
    n = len(problem.relevance)
    values = [
        value_of(problem, order)
        for chosen in itertools.permutations(range(n), problem.k)
        if problem.holds(order := np.array(chosen))
    ]
    return max(values, default=None)

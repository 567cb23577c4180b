"""How long a slate takes to compose: 20 of 500 candidates, by method, with and without rules.

The CPU time of one `compose` of problems drawn at random, without prices. `stuck` are those whose
lower quotas overlap so that integer programming is called, `torn` those whose quotas contradict
each other and give way.

    python -m benchmarks slates
"""

from time import thread_time
from typing import Any

import numpy as np

from benchmarks import report
from endcap.evaluate.meter import Meter
from endcap.recommend.slates.compose import compose, greedy
from endcap.recommend.slates.problem import MODES, Bound, Problem

N, K, ROUNDS, QUICK = 500, 20, 300, 20


def main(argv: list[str]) -> dict[str, Any]:
    """Time problems drawn by ``--seed``."""
    args = report.parser(__doc__).parse_args(argv)
    rounds = QUICK if args.quick else ROUNDS
    kinds = [(f"{m}{', 5 rules' if r else ''}", m, r) for m in MODES for r in (0, 5)]
    kinds += [("stuck", "pairs", -1), ("torn", "pairs", -2)]
    with Meter() as meter:
        took = {}
        for name, method, rules in kinds:
            rng = np.random.default_rng(args.seed)
            compose(drawn(rng, method, rules), prices=False)  # compiled, or loaded from its cache
            many = rounds if rules >= 0 else max(2, rounds // 10)
            took[name] = _timed([drawn(rng, method, rules) for _ in range(many)])
            row = took[name]
            print(
                f"{name:<16}{row['p50_ms']:9.2f} ms{row['p99_ms']:9.2f} ms p99 {row['stuck']:6.0%}"
            )
    return report.outcome(
        meter,
        protocol=f"CPU of one slate of {K} out of {N}, {rounds} drawn problems of each kind",
        figures=took["pairs, 5 rules"],
        models=took,
        seed=args.seed,
    )


def drawn(rng: np.random.Generator, method: str, rules: int) -> Problem:
    """Draw a problem: relevance falls as scores do, items cluster, rules overlap."""
    vectors = rng.standard_normal((N, 32)) + 2 * np.eye(32)[rng.integers(0, 32, N)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    relevance = np.sort(rng.random(N) ** 3)[::-1] + 1e-3
    bounds = {
        0: [],
        5: [
            Bound("brand", rng.integers(0, 60, N).astype(np.int32), hi=2),
            Bound("shelf", rng.integers(0, 8, N).astype(np.int32), hi=5),
            Bound("new", _some(rng, 0.1), lo=2, first=10),
            Bound("offer", _some(rng, 0.2), lo=4, hi=8),
            Bound("margin", _some(rng, 0.4), lo=8),
        ],
        -1: [Bound(f"least {at}", _some(rng, 0.01 + 0.01 * at), lo=5, first=16) for at in range(5)],
        -2: [
            Bound(f"least {at}", np.where(np.arange(N) % 4 == at, 0, -1), lo=7) for at in range(4)
        ],
    }[rules]
    return Problem(
        K,
        relevance / relevance[0],
        (vectors @ vectors.T).astype(np.float32),
        {3: N // 2} if rules > 0 else {},
        tuple(bounds),
        0.3,
        method,  # type: ignore[arg-type]
    )


def _some(rng: np.random.Generator, share: float) -> np.ndarray:
    return np.where(rng.random(N) < share, 0, -1).astype(np.int32)


def _timed(problems: list[Problem]) -> dict[str, float]:
    took, stuck = [], 0
    for problem in problems:
        stuck += not problem.holds(greedy(problem))
        began = thread_time()
        compose(problem, prices=False)
        took.append(1000 * (thread_time() - began))
    return {
        "p50_ms": float(np.median(took)),
        "p99_ms": float(np.quantile(took, 0.99)),
        "stuck": stuck / len(problems),
    }

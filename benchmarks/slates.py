"""How long a slate takes to compose: 20 of 500 candidates, by method, with and without rules.

The CPU time of one `compose` of problems drawn at random, without prices. `stuck` are those whose
lower quotas overlap so that integer programming is called, `torn` those whose quotas contradict
each other and give way.

`in an answer` is all that the rules of a placement add to an answer: conditions asked of a
catalogue of 20,000 items, likeness of titles, a pin and four quotas, diversity, fatigue, the slate.

    python -m benchmarks slates
"""

from collections.abc import Sequence
from importlib.resources import as_file, files
from time import thread_time
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import report
from endcap.evaluate.meter import Meter
from endcap.recommend.composing import apply_rules
from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.world import World
from endcap.recommend.shelf import Pick, Shelf
from endcap.recommend.slate import Reason, Request
from endcap.recommend.slates.compose import compose, greedy
from endcap.recommend.slates.problem import MODES, Bound, Problem
from endcap.recommend.slates.rules import Rules
from endcap.recommend.state import History, State

N, K, ROUNDS, QUICK = 500, 20, 300, 20
CATALOGUE = 20_000
NOTHING = History.of([])
RULES = Rules.parse(
    {
        "diversity": 0.3,
        "fatigue": {"half_after": 3.0},
        "pins": [{"item": "i7", "position": 2}],
        "quotas": [
            {"by": "brand", "max": 2},
            {"where": "discount > 0", "min_share": 0.2, "max_share": 0.4},
            {"where": "stock < 20", "max": 5},
            {"where": "price > 50", "min": 4, "first": 10},
        ],
    }
)


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
        took["in an answer"] = in_an_answer(args.seed, rounds)
        row = took["in an answer"]
        print(f"{'in an answer':<16}{row['p50_ms']:9.2f} ms{row['p99_ms']:9.2f} ms p99")
    return report.outcome(
        meter,
        protocol=f"CPU of one slate of {K} out of {N}, {rounds} drawn problems of each kind",
        figures=took["pairs, 5 rules"],
        models=took,
        seed=args.seed,
    )


def in_an_answer(seed: int, rounds: int) -> dict[str, float]:
    """Time `apply_rules` on shelves of 500 candidates from a catalogue of `CATALOGUE` items."""
    rng = np.random.default_rng(seed)
    state = Still(rng)
    took = []
    for _ in range(rounds + 1):
        rows = rng.choice(CATALOGUE, N, replace=False)
        scores = np.sort(rng.random(N) ** 3)[::-1] + 1e-3
        picks = [
            Pick(f"i{r}", float(s), "m", told=_told) for r, s in zip(rows, scores, strict=True)
        ]
        shelf = Shelf(K, {pick.item_id for pick in picks}, picks, depth=N)
        began = thread_time()
        world = World.of(state.columns, NOTHING, (), 0)
        apply_rules(
            RULES, shelf, Request(k=K), cast(State, state), world, who="u", fill=_nothing_more
        )
        took.append(1000 * (thread_time() - began))
    warm = took[1:]  # the first compiles, or loads what was compiled
    return {"p50_ms": float(np.median(warm)), "p99_ms": float(np.quantile(warm, 0.99))}


class Still:
    """A catalogue in which nothing happens."""

    def __init__(self, rng: np.random.Generator) -> None:
        box = files("endcap.testing.box") / "online_retail" / "items.parquet"
        with as_file(box) as path:
            real = pq.read_table(path)["title"].to_pylist()
        titles = [str(real[n % len(real)]) for n in rng.permutation(CATALOGUE)]
        ids = [f"i{n}" for n in range(CATALOGUE)]
        self.columns = Columns(
            pa.table(
                {
                    "item_id": ids,
                    "brand": [f"b{b}" for b in rng.integers(0, 60, CATALOGUE)],
                    "price": rng.integers(1, 100, CATALOGUE).astype(float),
                    "sale_price": np.where(rng.random(CATALOGUE) < 0.3, 1.0, np.nan),
                    "stock": rng.integers(0, 90, CATALOGUE),
                }
            )
        )
        self.exposure: dict[str, int] = {}
        self._facts = {i: {"title": title} for i, title in zip(ids, titles, strict=True)}
        self._shown = {f"i{n}": n % 5 for n in range(0, CATALOGUE, 7)}

    def facts(self, item_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        known = self._facts
        return {item_id: known[item_id] for item_id in item_ids}

    def shown_to(self, actor: str, since: int = 0) -> dict[str, int]:
        return self._shown


def _told(places: Sequence[int]) -> list[tuple[Reason, ...]]:
    return [()] * len(places)


def _nothing_more(shelf: Shelf, mask: object) -> None:
    """Fetch nothing: the shelf is what there is."""


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

"""How long filters take on 100,000 items: our language, two CEL libraries, and plain Python rows.

CEL libraries evaluate one item at a time; the time is that of a mask over the whole catalogue, from
a compiled expression. They are installed for this benchmark alone (common-expression-language and
cel-python).

    python -m benchmarks filters --peers cel,celpy
"""

import importlib
from collections.abc import Callable
from time import thread_time
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks import report
from endcap.evaluate.meter import Meter
from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.expression import Expression
from endcap.recommend.filters.world import World

ITEMS, QUICK = 100_000, 5_000
ROUNDS = 9
TYPICAL = "price < 50 and brand not in user.bought.brand and stock > 0"
CEL = "price < 50.0 && !(brand in bought) && stock > 0"
BOUGHT = ["b1", "b2", "b77"]
WORST = {
    "60 comparisons of text": " or ".join(f'brand == "b{n}"' for n in range(60)),
    "60 comparisons of numbers": " and ".join(f"price > {n / 9}" for n in range(60)),
    "a list of 400 ids": "item in [" + ", ".join(f"'i{n}'" for n in range(400)) + "]",
}


def main(argv: list[str]) -> dict[str, Any]:
    """Time masks over a catalogue drawn at random."""
    args = report.parser(__doc__).parse_args(argv)
    n = QUICK if args.quick else ITEMS
    rng = np.random.default_rng(args.seed)
    rows = {
        "item_id": [f"i{at}" for at in range(n)],
        "brand": [f"b{at}" for at in rng.integers(0, 300, n)],
        "price": rng.random(n) * 100,
        "stock": rng.integers(0, 5, n),
    }
    with Meter() as meter:
        began = thread_time()
        columns = Columns(pa.table(rows))
        built = thread_time() - began
        world = World({"user.bought": columns.rows(f"i{rows['brand'].index(b)}" for b in BOUGHT)})
        took = {"typical": _milliseconds(TYPICAL, columns, world)}
        took |= {name: _milliseconds(text, columns, world) for name, text in WORST.items()}
        mask = Expression.filter(TYPICAL).mask(columns, world)[1:]
        peers = {name: _peer(name, rows, mask) for name in args.peers.split(",") if name}
    for name, row in {**took, **peers}.items():
        print(f"{name:<30}{row['p50_ms']:12.2f} ms")
    return report.outcome(
        meter,
        protocol=f"CPU of one mask over {n:,} items, median and p99 of {ROUNDS}; {TYPICAL}",
        figures={**took["typical"], "build_ms": 1000 * built},
        models=took,
        peers=peers,
        seed=args.seed,
    )


def _milliseconds(text: str, columns: Columns, world: World) -> dict[str, float]:
    expression = Expression.filter(text)
    return _timed(lambda: expression.mask(columns, world), ROUNDS)


def _timed(work: Callable[[], object], rounds: int) -> dict[str, float]:
    took = []
    for _ in range(rounds):
        began = thread_time()
        work()
        took.append(1000 * (thread_time() - began))
    return {"p50_ms": float(np.median(took)), "p99_ms": float(np.quantile(took, 0.99))}


def _peer(name: str, rows: dict[str, Any], mask: np.ndarray) -> dict[str, float]:
    """Time a CEL library on a tenth of the rows, ten times that; its answer must be ours."""
    part = max(1, len(mask) // 10)
    items = [
        {"brand": b, "price": float(p), "stock": int(s), "bought": BOUGHT}
        for b, p, s in zip(rows["brand"][:part], rows["price"], rows["stock"], strict=False)
    ]
    ask = {"cel": _cel, "celpy": _celpy}[name]()
    found: list[bool] = []
    row = _timed(lambda: found.extend(bool(ask(item)) for item in items), 1)
    assert found == mask[:part].tolist(), name
    return {key: value * len(mask) / part for key, value in row.items()}


def _cel() -> Callable[[dict[str, Any]], Any]:
    program = importlib.import_module("cel").compile(CEL)
    return program.execute


def _celpy() -> Callable[[dict[str, Any]], Any]:
    celpy = importlib.import_module("celpy")
    environment = celpy.Environment()
    program = environment.program(environment.compile(CEL))
    return lambda item: program.evaluate(celpy.json_to_cel(item))

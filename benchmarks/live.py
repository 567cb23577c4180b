"""What counting along is worth: baskets asked about one by one, with and without live counts.

Prequential (test, then train): models are fitted once, on what lies before the last days; then the
baskets of those days come in the order of time. Before each, its shopper is asked for a slate from
everything known up to that moment, and the basket's new items are the targets; then it happens. The
models stay as they were fitted; the live counts (`endcap.models.live`) follow each basket. Their
share of the score is chosen on the days before, by the same procedure.

    python -m benchmarks live                              (Online Retail)
    python -m benchmarks live --data DIR --days 7
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks import data, report
from endcap.evaluate.intervals import bootstrap, percentile
from endcap.evaluate.meter import Meter
from endcap.evaluate.metrics import per_user
from endcap.models import specs
from endcap.models.base import Model
from endcap.models.candidates import Candidates
from endcap.models.live import Live, LiveTrending
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import Split, Targets, Temporal
from endcap.recommend.blend import blend

K = 10
SHARES = tuple((pairs, trend) for pairs in (0.0, 0.1, 0.2) for trend in (0.0, 0.1))
"""Of the live pairs and of what is trending live."""
STILL = {"ease": {"l2": 300.0, "decay_events": 100.0}, "trending": {"half_life_days": 7.0}}
"""The models that stay as they are, with weights 1 and 0.5: what the shop recipe leans on."""
WEIGHTS = {"ease": 1.0, "trending": 0.5}
LIVE = ("live", "live-trending")
Shares = tuple[float, float]
STILL_ALONE: Shares = (0.0, 0.0)


class Basket(NamedTuple):
    """What one shopper took at one moment, and what they had before."""

    user: int
    time: int
    items: npt.NDArray[np.int32]
    before: npt.NDArray[np.int32]


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Online Retail."""
    parser = report.parser(__doc__)
    parser.add_argument("--days", type=float, default=28.0, help="length of the stream")
    args = parser.parse_args(argv)
    source = data.load(data.find(args.data, "online-retail"))
    test = Temporal(days=args.days).apply(source.data)
    most = 200 if args.quick else 100_000
    with Meter() as meter:
        chosen = {s: values.mean() for s, values in stream(test.validation(), SHARES, most).items()}
        best = max(chosen, key=lambda share: chosen[share])
        values = stream(test, tuple({STILL_ALONE, best}), most)
    figures = {share: float(one.mean()) for share, one in values.items()}
    gain = bootstrap((values[best] - values[STILL_ALONE])[:, None], seed=args.seed)
    low, high = percentile(gain)[0]
    table = Table("", f"NDCG@{K}", "validation")
    for share in sorted({*figures, *chosen}):
        shown = f"{figures[share]:.4f}" if share in figures else ""
        table.add_row("pairs {:.2f}, trending {:.2f}".format(*share), shown, f"{chosen[share]:.4f}")
    Console().print(table)
    print(f"live counts add {figures[best] - figures[STILL_ALONE]:+.4f} [{low:+.4f}, {high:+.4f}]")
    return report.outcome(
        meter,
        protocol=_protocol(test, len(values[STILL_ALONE])),
        figures={
            f"ndcg@{K}": figures[best],
            "pairs": best[0],
            "trending": best[1],
            "gain": figures[best] - figures[STILL_ALONE],
        },
        intervals={"gain": [low, high]},
        models={"live {} {}".format(*s): {f"ndcg@{K}": x} for s, x in figures.items()},
        validation={str(share): float(value) for share, value in chosen.items()},
        seed=args.seed,
        fingerprint=source.data.fingerprint,
        data=source.name,
    )


def _protocol(test: Split, n: int) -> str:
    return (
        f"prequential over baskets, {test.protocol}; full ranking, seen items excluded; mean over "
        f"{n:,} baskets with a new item of shoppers with a history; shares of the live counts "
        "chosen on the days before; paired 95 % bootstrap interval over baskets"
    )


def stream(split: Split, shares: tuple[Shares, ...], most: int) -> dict[Shares, npt.NDArray[Any]]:
    """Return NDCG@K of each basket, for each share of the live counts."""
    models: dict[str, Model] = {
        name: specs.make(name, settings).fit(split.train) for name, settings in STILL.items()
    }
    live = Live().fit(split.train)
    trending = LiveTrending(live.spec, live.users, live.items, live.counts)
    models |= dict(zip(LIVE, (live, trending), strict=True))
    asked: dict[Shares, list[npt.NDArray[np.int32]]] = {share: [] for share in shares}
    wanted: list[npt.NDArray[np.int32]] = []
    for basket in baskets(split, most):
        fresh = np.setdiff1d(basket.items, basket.before)
        if len(basket.before) and len(fresh):
            wanted.append(fresh)
            for share in shares:
                asked[share].append(_ask(models, share, basket))
        for item_id in split.held.items.ids(basket.items):
            live.counts.add(str(basket.user), item_id, 1.0, basket.time)
    ends = np.cumsum([0, *map(len, wanted)]).astype(np.int64)
    targets = Targets(ends, np.concatenate(wanted))
    return {
        share: per_user(Candidates.of(lists), targets, (K,))[f"ndcg@{K}"]
        for share, lists in asked.items()
    }


def baskets(split: Split, most: int) -> Iterator[Basket]:
    """Yield the baskets of the held-out days in the order of time."""
    seen = _histories(split.history)
    user, item, time, session = (
        split.held.column(name) for name in ("user", "item", "time", "session")
    )
    _, first, place = np.unique(session, return_index=True, return_inverse=True)
    order = np.lexsort((np.arange(len(place)), place))
    cuts = np.flatnonzero(np.diff(place[order])) + 1
    groups = np.split(order, cuts)
    for at in np.argsort(time[first], kind="stable")[:most]:
        rows = groups[at]
        who = int(user[rows[0]])
        items = item[rows]
        before = seen.get(who, np.empty(0, np.int32))
        yield Basket(who, int(time[rows[0]]), items, before)
        seen[who] = np.concatenate((before, items))


def _histories(known: Dataset) -> dict[int, npt.NDArray[np.int32]]:
    seq = known.sequences()
    ends = zip(seq.indptr[:-1], seq.indptr[1:], strict=True)
    return {u: seq.items[start:stop] for u, (start, stop) in enumerate(ends) if stop > start}


def _ask(models: dict[str, Model], shares: Shares, basket: Basket) -> npt.NDArray[np.int32]:
    weights = dict(WEIGHTS)
    one = sum(WEIGHTS.values()) / (1 - sum(shares))
    weights |= {name: share * one for name, share in zip(LIVE, shares, strict=True) if share}
    query = Queries.of_histories([basket.before], now=[basket.time]).excluding_history()
    answer = blend(models, weights, query, candidates=200, k=K)
    return answer.items

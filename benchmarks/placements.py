"""Places of a shop: bought together, buy it again, and substitutes told from complements.

Baskets of the last 28 days are the test, those of the 28 days before the validation: settings are
chosen there, then every model is fitted on all baskets before the test and asked once.

- together: of each test basket one item is drawn, and its others are sought. Recall@10. `known`
  is asked of a shopper who is signed in, at the moment the basket begins: what they need again is
  added (``own``). Set beside what sells, where what they had counts some times as much, and what
  was in most of their baskets, whatever the item.
- again: the first basket of each shopper in the test, at the moment it begins: which items that
  they had before are in it? Recall@10, against how often each was in their baskets (ties: the
  newest).
- apart, where items have categories (department, category, type): two items of one category are
  substitutes; two of different ones that are in at least 3 test baskets together, more often than
  chance, are complements. AUC of scores that know baskets and people alone (``behaviour``), with
  titles and brands as well (``all``), and of each by itself.
- kin, likewise: of the 10 items that a model puts beside one, how many are of its category? Asked
  of the items of the test baskets, each as often as it is in one.

    python -m benchmarks placements                                  (Online Retail)
    python -m benchmarks placements --data DIR --part together --seed 1 --quick
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.stats import rankdata

from benchmarks import data, report
from endcap.evaluate.meter import Meter
from endcap.models.base import Model
from endcap.models.content import Content
from endcap.models.queries import Queries
from endcap.models.refill import Refill
from endcap.models.substitutes import Substitutes
from endcap.models.together import Together
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import DataError

DAY_US = 86_400_000_000
WINDOW = 28 * DAY_US
K = 10
BASKETS, QUICK_BASKETS = 3_000, 400
PAIRS = 5_000
LEAST = 20
"""Training baskets of an item that pairs are judged of."""
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]
Scored = tuple[Rows, npt.NDArray[np.float32]]

PARTS = ("together", "again", "apart", "kin")
TOGETHER: Mapping[str, Sequence[Any]] = {
    "damp": (0.5, 1.0),
    "half_life_days": (None, 120.0, 40.0),
    "source_norm": (1.0, 0.9, 0.8),
    "borrow": (0.0, 3.0, 6.0, 12.0),
}
"""One setting is chosen after the other, the first of each to begin with."""
OWN = (0.1, 0.3, 1.0, 3.0)
"""What the chance counts that the shopper needs an item again."""
HAD = (1.0, 3.0, 10.0, 30.0)
"""How often as much counts what the shopper had before, in what sells."""
LONG = 100
"""Items that sell of which those are sought that the shopper had."""
REFILL: Mapping[str, Sequence[Any]] = {"decay": (0.9, 0.8), "trust": (2.0, 5.0)}


@dataclass(frozen=True)
class Window:
    """What was before a moment, and the baskets of the four weeks after it."""

    past: Dataset
    users: Rows
    items: Rows
    sessions: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]

    @classmethod
    def of(cls, whole: Dataset, start: int) -> "Window":
        """Cut at `start`, UTC microseconds."""
        times = whole.column("time")
        inside = (times >= start) & (times < start + WINDOW)
        if not inside.any() or not (times < start).any():
            raise DataError("The data do not span two windows of 28 days and a past before them.")
        names = ("user", "item", "session", "time")
        return cls(whole.where(times < start), *(whole.column(n)[inside] for n in names))


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Online Retail."""
    parser = report.parser(__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this (repeatable)")
    args = parser.parse_args(argv)
    source = data.load(data.find(args.data, "online-retail"))
    if not source.clocked:
        raise DataError(f"{source.name} has no clock times.")
    bought = source.data.where(source.data.of_kind("purchase"))
    start = bought.end - WINDOW + 1
    with Meter() as meter:
        valid, test = Window.of(bought, start - WINDOW), Window.of(bought, start)
        ask = dict(zip(PARTS, (together, again, apart, kin), strict=True))
        parts = {name: ask[name](args, valid, test) for name in args.part or PARTS}
    models = {name: row for part in parts.values() for name, row in part["models"].items()}
    for name, part in parts.items():
        if part["models"]:
            report.show(f"{name}: {part['about']}", part["models"])
    return report.outcome(
        meter,
        protocol="test: the last 28 days; settings chosen on the 28 days before; see the module",
        figures={key: value for part in parts.values() for key, value in part["figures"].items()},
        intervals={k: v for part in parts.values() for k, v in part.get("intervals", {}).items()},
        models=models,
        seed=args.seed,
        fingerprint=source.data.fingerprint,
        data=source.name,
        settings={name: part["settings"] for name, part in parts.items()},
        counts={name: part["about"] for name, part in parts.items()},
    )


def together(args: argparse.Namespace, valid: Window, test: Window) -> dict[str, Any]:
    """Ask for the rest of a basket by one of its items."""
    asked = _drawn(args, valid)
    scores: dict[str, float] = {}

    def fitted(settings: dict[str, Any], window: Window) -> Model:
        return Together(**settings).fit(window.past)

    def score(settings: dict[str, Any]) -> float:
        key = _key(settings)
        if key not in scores:
            lists = _alike(fitted(settings, valid), asked.items)
            scores[key] = float(_recalls(lists, asked.others).mean())
            report.say(f"together {key}: {scores[key]:.4f}")
        return scores[key]

    best = {name: values[0] for name, values in TOGETHER.items()}
    for name, values in TOGETHER.items():
        tried = ({**best, name: value} for value in values[: 1 if args.quick else None])
        best = max(tried, key=score)
    own = _own_share(fitted({**best, "own": 1.0}, valid), valid, asked)
    times = _times(valid, asked)
    queries = _drawn(args, test)
    model = fitted({**best, "own": own}, test)
    signed_in = _signed_in(test.past, queries)
    lists = {
        "together": _alike(model, queries.items),
        "popular": _sold(test.past, queries.items),
        "random": _any(args, test.past, len(queries.items)),
        "known together": _own(model, signed_in),
        "known popular": _boosted(test.past, queries, times),
        "known frequent": _frequent(_of_past(signed_in)),
    }
    found = {name: _recalls(rows, queries.others) for name, rows in lists.items()}
    means = {name: float(x.mean()) for name, x in found.items()}
    return {
        "models": {
            name: {f"recall@{K}": mean, "over popular": mean / means["popular"]}
            for name, mean in means.items()
        },
        "figures": {
            f"together_recall@{K}": means["together"],
            "together_over_popular": means["together"] / means["popular"],
            f"known_together_recall@{K}": means["known together"],
            "known_together_over_popular": means["known together"] / means["popular"],
        },
        "intervals": {
            f"together_recall@{K}": _interval(found["together"]),
            f"known_together_recall@{K}": _interval(found["known together"]),
        },
        "settings": {**best, "own": own, "had before counts": times},
        "about": f"{len(queries.items)} baskets",
    }


def again(args: argparse.Namespace, valid: Window, test: Window) -> dict[str, Any]:
    """Foresee which of what they had is in the next basket of each shopper."""
    scores = {}
    asked = _next_baskets(args, valid)
    for settings in _grid(REFILL, args.quick):
        lists = _own(Refill(**settings).fit(valid.past), asked[0])
        scores[_key(settings)] = (float(_recalls(lists, asked[1]).mean()), settings)
        report.say(f"refill {_key(settings)}: {scores[_key(settings)][0]:.4f}")
    best = max(scores.values(), key=lambda pair: pair[0])[1]
    queries, targets = _next_baskets(args, test)
    found = {
        "refill": _recalls(_own(Refill(**best).fit(test.past), queries), targets),
        "frequency": _recalls(_frequent(queries), targets),
    }
    gain = found["refill"] - found["frequency"]
    means = {name: float(x.mean()) for name, x in found.items()}
    return {
        "models": {name: {f"recall@{K}": mean} for name, mean in means.items()},
        "figures": {
            f"again_recall@{K}": means["refill"],
            f"frequency_recall@{K}": means["frequency"],
        },
        "intervals": {
            f"again_recall@{K}": _interval(found["refill"]),
            "again_gain": _interval(gain),
        },
        "settings": best,
        "about": f"{len(targets)} shoppers who buy something again",
    }


def apart(args: argparse.Namespace, valid: Window, test: Window) -> dict[str, Any]:
    """Tell substitutes from complements."""
    category = _categories(test.past)
    if len(set(category.tolist()) - {-1}) < 2:
        return {"models": {}, "figures": {}, "settings": {}, "about": "no categories"}
    told = {}
    for name, window in (("valid", valid), ("test", test)):
        left, right, alike = _pairs(args, window, category)
        told[name] = (_features(window.past, left, right), alike)
    seen, alike = told["valid"]
    unseen, truth = told["test"]
    parts = {"behaviour": ["stands beside the same", "lift"], "all": list(seen)}
    rows = {name: _auc(values, truth) for name, values in unseen.items()}
    for name, columns in parts.items():
        weights = _weights(np.stack([seen[c] for c in columns], axis=1), alike)
        rows[name] = _auc(np.stack([unseen[c] for c in columns], axis=1) @ weights, truth)
    return {
        "models": {name: {"auc": value} for name, value in rows.items()},
        "figures": {"apart_auc_behaviour": rows["behaviour"], "apart_auc_all": rows["all"]},
        "settings": {"weights": "logistic regression on the validation pairs"},
        "about": f"{int(truth.sum())} pairs of substitutes, {int((~truth).sum())} of complements",
    }


def kin(args: argparse.Namespace, _: Window, test: Window) -> dict[str, Any]:
    """Look at what stands beside an item: the same kind of thing, or another."""
    category = _categories(test.past)
    able = (_baskets_with(test.past) >= LEAST) & (category >= 0)
    held = test.items[able[test.items]]
    if not len(held) or len(np.unique(category[held])) < 2:
        return {"models": {}, "figures": {}, "settings": {}, "about": "no categories"}
    rng = np.random.default_rng([args.seed, 4])
    queries = rng.choice(held, QUICK_BASKETS if args.quick else BASKETS).astype(np.int32)
    titles = Content(text_share=1.0, fields=("title", "brand"))
    specs = {"substitutes": Substitutes(), "together": Together(), "content": titles}
    rows = {}
    for name, spec in specs.items():
        lists = _alike(spec.fit(test.past), queries)
        told = ((row, q) for row, q in zip(lists, queries, strict=True) if len(row))
        same = [(category[row] == category[q]).mean() for row, q in told]
        rows[name] = float(np.mean(same))
    rows["any two"] = float(np.mean(category[rng.permutation(held)] == category[held]))
    return {
        "models": {
            f"beside it, by {name}": {"same category": value} for name, value in rows.items()
        },
        "figures": {f"kin_{name}": rows[name] for name in ("substitutes", "together")},
        "settings": {},
        "about": f"{len(queries)} items",
    }


def _grid(choices: Mapping[str, Sequence[Any]], quick: bool) -> Iterator[dict[str, Any]]:
    rows = [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]
    yield from rows[:1] if quick else rows


def _key(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items())


class Drawn(NamedTuple):
    """An item of each of some baskets, whose they are, when they begin, what else they hold."""

    items: Rows
    users: Rows
    times: npt.NDArray[np.int64]
    others: list[Rows]


def _drawn(args: argparse.Namespace, window: Window) -> Drawn:
    """Draw an item of each of some baskets; only items of the past."""
    known = _baskets_with(window.past) > 0
    rng = np.random.default_rng([args.seed, 1])
    order = np.argsort(window.sessions, kind="stable")
    cuts = np.flatnonzero(np.diff(window.sessions[order])) + 1
    parts = [(at[0], np.unique(window.items[at])) for at in np.split(order, cuts)]
    baskets = [(at, items[known[items]]) for at, items in parts]
    baskets = [(at, items) for at, items in baskets if len(items) > 1]
    most = QUICK_BASKETS if args.quick else BASKETS
    chosen = [baskets[n] for n in np.sort(rng.permutation(len(baskets))[:most])]
    items = np.array([rng.choice(held) for _, held in chosen], np.int32)
    first = np.array([at for at, _ in chosen], np.int64)
    return Drawn(
        items,
        window.users[first],
        window.times[first],
        [held[held != item] for (_, held), item in zip(chosen, items, strict=True)],
    )


def _signed_in(past: Dataset, drawn: Drawn) -> Queries:
    """Return what a place is asked with: all that the shoppers did, and an item they look at."""
    own = Queries.of_users(past, drawn.users)
    n, ends = len(own), own.indptr[1:]
    assert own.kinds is not None
    return replace(
        own,
        indptr=own.indptr + np.arange(n + 1),
        items=np.insert(own.items, ends, drawn.items),
        weights=np.insert(own.weights, ends, 1.0),
        values=np.insert(own.values, ends, np.nan),
        times=np.insert(own.times, ends, drawn.times),
        kinds=np.insert(own.kinds, ends, len(own.kind_names)),
        kind_names=(*own.kind_names, "view"),
        now=drawn.times,
        exclude=drawn.items,
        exclude_indptr=np.arange(n + 1),
    )


def _of_past(signed_in: Queries) -> Queries:
    """Return what the shoppers had before, but for the item they look at."""
    owner = signed_in.query_of
    earlier = signed_in.times < signed_in.now[owner]
    return signed_in.only(earlier & (signed_in.items != signed_in.exclude[owner]))


def _own_share(model: Model, window: Window, asked: Drawn) -> float:
    """Return what the shopper's own needs count where that is best."""
    queries = _signed_in(window.past, asked)

    def recall(own: float) -> float:
        spec = model.spec.model_copy(update={"own": own})
        found = _recalls(_own(replace(model, spec=spec), queries), asked.others).mean()
        report.say(f"own {own:g}: {found:.4f}")
        return float(found)

    return max(OWN, key=recall)


def _times(window: Window, asked: Drawn) -> float:
    """Return how often as much counts in what sells what the shopper had, where that is best."""

    def recall(times: float) -> float:
        return float(_recalls(_boosted(window.past, asked, times), asked.others).mean())

    return max(HAD, key=recall)


def _boosted(past: Dataset, asked: Drawn, times: float) -> list[Rows]:
    """Return the first `K` of what sells where what the shopper had counts `times` as much."""
    had = past.matrix(None)
    out = []
    for (items, scores), user in zip(_long_sold(past, asked.items), asked.users, strict=True):
        theirs = had.indices[had.indptr[user] : had.indptr[user + 1]]
        worth = np.where(np.isin(items, theirs), times * scores, scores)
        out.append(items[np.argsort(-worth, kind="stable")[:K]])
    return out


def _long_sold(past: Dataset, items: Rows) -> list[Scored]:
    counts = _baskets_with(past)
    top = np.argsort(-counts, kind="stable")[: LONG + 1].astype(np.int32)
    rows = [top[top != q][:LONG] for q in items]
    return [(row, counts[row].astype(np.float32)) for row in rows]


def _sold(past: Dataset, items: Rows) -> list[Rows]:
    return [row[:K] for row, _ in _long_sold(past, items)]


def _any(args: argparse.Namespace, past: Dataset, n: int) -> list[Rows]:
    rng = np.random.default_rng([args.seed, 2])
    known = np.flatnonzero(_baskets_with(past))
    return [rng.choice(known, K, replace=False) for _ in range(n)]


def _alike(model: Model, items: Rows) -> list[Rows]:
    found = model.similar(items, K)
    return [found.row(q)[0] for q in range(len(items))]


def _next_baskets(args: argparse.Namespace, window: Window) -> tuple[Queries, list[Rows]]:
    """Return histories at the moment the next basket begins, and what of it they had before."""
    first: dict[int, int] = {}
    for at in np.lexsort((window.sessions, window.times)):
        first.setdefault(int(window.users[at]), int(at))
    past = np.unique(window.past.column("user"))
    users = np.array([u for u in past if int(u) in first], np.int32)
    if args.quick:
        users = users[:QUICK_BASKETS]
    queries = Queries.of_users(window.past, users)
    queries = replace(queries, now=np.array([window.times[first[int(u)]] for u in users]))
    targets = []
    for q, user in enumerate(users):
        basket = (window.users == user) & (window.sessions == window.sessions[first[int(user)]])
        had = queries.items[queries.indptr[q] : queries.indptr[q + 1]]
        targets.append(np.intersect1d(window.items[basket], had))
    kept = [q for q, target in enumerate(targets) if len(target)]
    asked = Queries.of_users(window.past, users[kept])
    return replace(asked, now=queries.now[kept]), [targets[q] for q in kept]


def _own(model: Model, queries: Queries) -> list[Rows]:
    found = model.retrieve(queries, K)
    return [found.row(q)[0] for q in range(len(queries))]


def _frequent(queries: Queries) -> list[Rows]:
    """Return what was in the most baskets of each shopper, the newest first among equals."""
    out = []
    for q in range(len(queries)):
        span = slice(queries.indptr[q], queries.indptr[q + 1])
        items, times = queries.items[span], queries.times[span]
        once = np.unique(np.stack((items, times)), axis=1)
        names, counts = np.unique(once[0], return_counts=True)
        newest = np.array([times[items == i].max() for i in names])
        out.append(names[np.lexsort((-newest, -counts))][:K].astype(np.int32))
    return out


def _recalls(lists: Sequence[Rows], targets: Sequence[Rows]) -> Floats:
    return np.array(
        [len(np.intersect1d(a, b)) / len(b) for a, b in zip(lists, targets, strict=True)]
    )


def _interval(values: Floats) -> list[float]:
    wide = 1.96 * values.std() / np.sqrt(len(values))
    return [float(values.mean() - wide), float(values.mean() + wide)]


def _baskets_with(past: Dataset) -> npt.NDArray[np.int64]:
    sessions, items = past.column("session"), past.column("item").astype(np.int64)
    pairs = np.unique(sessions * len(past.items) + items)
    return np.bincount(pairs % len(past.items), minlength=len(past.items))


def _categories(past: Dataset) -> npt.NDArray[np.int64]:
    """Return int64 (items,): the second level of the category path, -1 where there is none."""
    paths = [(row or [""])[0].split(" > ") for row in past.item_table["categories"].to_pylist()]
    names = [path[1] if len(path) > 1 else "" for path in paths]
    codes = np.unique(names, return_inverse=True)[1]
    return np.where(np.array(names) == "", -1, codes)


def _pairs(
    args: argparse.Namespace, window: Window, category: npt.NDArray[np.int64]
) -> tuple[Rows, Rows, npt.NDArray[np.bool_]]:
    """Return pairs of items and whether they are substitutes; as many of each."""
    rng = np.random.default_rng([args.seed, 3])
    able = (_baskets_with(window.past) >= LEAST) & (category >= 0)
    kept = able[window.items]
    codes, place = np.unique(window.sessions[kept], return_inverse=True)
    shape = (len(codes), len(category))
    matrix = sparse.csr_array(
        sparse.coo_array((np.ones(kept.sum()), (place, window.items[kept])), shape=shape)
    )
    matrix.data[:] = 1
    counts = np.asarray(matrix.sum(axis=0)).ravel()
    both = sparse.triu(matrix.T @ matrix, k=1).tocoo()
    lift = both.data * len(codes) / (counts[both.row] * counts[both.col])
    other = category[both.row] != category[both.col]
    strong = np.flatnonzero((both.data >= 3) & (lift > 1) & other)
    drawn = rng.permutation(strong)[:PAIRS]
    present = np.flatnonzero(counts)
    left, right = rng.choice(present, 400_000), rng.choice(present, 400_000)
    same = np.flatnonzero((category[left] == category[right]) & (left < right))[: len(drawn)]
    pairs = np.stack(
        (
            np.concatenate((left[same], both.row[drawn])),
            np.concatenate((right[same], both.col[drawn])),
        )
    )
    alike = np.arange(pairs.shape[1]) < len(same)
    return pairs[0].astype(np.int32), pairs[1].astype(np.int32), alike


def _features(past: Dataset, left: Rows, right: Rows) -> dict[str, Floats]:
    """Return what is known of each pair before the window."""
    described = Substitutes(least=1).describe(past)
    baskets = Together(damp=0.0).baskets(past)
    columns = baskets.T.tocsr()
    counts = np.diff(columns.indptr)
    both = _products(columns, left, right)
    expected = counts[left] * counts[right] / baskets.shape[0]
    text = Content(dimensions=0, text_share=1.0, fields=("title", "brand"))
    vectors = sparse.csr_array(text.fit(past).vectors)
    return {
        "stands beside the same": _products(described, left, right),
        "lift": -np.log((both + 0.5) / (expected + 0.5)),
        "content": _products(vectors, left, right),
    }


def _products(rows: sparse.csr_array, left: Rows, right: Rows) -> Floats:
    return np.asarray(rows[left].multiply(rows[right]).sum(axis=1), np.float64).ravel()


def _weights(told: Floats, alike: npt.NDArray[np.bool_]) -> Floats:
    """Return the weights of a logistic regression, by Newton's steps."""
    spread = told.std(axis=0) + 1e-12
    x = np.column_stack((told / spread, np.ones(len(told))))
    weights = np.zeros(x.shape[1])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        bend = (x * (chance * (1 - chance))[:, None]).T @ x + 1e-3 * np.eye(x.shape[1])
        weights += np.linalg.solve(bend, x.T @ (alike - chance) - 1e-3 * weights)
    return np.asarray(weights[:-1] / spread)


def _auc(scores: Floats, truth: npt.NDArray[np.bool_]) -> float:
    ranks = rankdata(scores)
    n = int(truth.sum())
    return float((ranks[truth].sum() - n * (n + 1) / 2) / max(1, n * (len(truth) - n)))

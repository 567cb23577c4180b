"""Cross-domain: of two shelves of a shop, the second one to people known from the first alone.

Half of the items (drawn by ``--seed``) are the one domain, half the other. Of 60 % of the users it
is known what they took; of 20 % (validation) and 20 % (test) only what they took of the first
domain, and all items of the second are ranked for them. Two worlds:

- *apart*: of each known user one of the two domains is known, drawn: nobody is known from both, as
  where two shops begin to work together. What people take says nothing across; the graph does.
- *together*: known users are known from both.

*tail* ranks, and counts, only what is not among the 100 most taken of its domain. Settings of the
walk are chosen on validation in each world, and the test is asked once.

With ``--finer`` what items are tied to is split in two, one of each domain, and each tied to what
both were by ``part_of``: nothing leads across any more but hops from entity to entity.

    python -m benchmarks cross_domain                  (artists of Last.fm, with a knowledge graph)
    python -m benchmarks cross_domain --finer
    python -m benchmarks cross_domain --data DIR       (kg.parquet: head, relation, tail)
"""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import data, report
from endcap.evaluate.intervals import bootstrap, percentile
from endcap.evaluate.meter import Meter
from endcap.evaluate.metrics import hits
from endcap.models.base import Model
from endcap.models.item_knn import ItemKNN
from endcap.models.popular import Popular
from endcap.models.queries import Queries
from endcap.models.related import Related
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import Targets

K: Final = 20
HEAD: Final = 100
QUICK: Final = {"popular": 1.0, "lift": 0.5, "people": 10.0}
GRID: Final = tuple(
    {"popular": popular, "lift": lift, "people": people}
    for popular, lift, people in itertools.product((1.0, 1.5), (0.25, 0.5, 0.75), (3.0, 10.0, 30.0))
)
FINER: Final = tuple(
    {"lift": lift, "people": people, "hop": hop}
    for lift, people, hop in itertools.product((0.25, 0.5), (3.0, 10.0), (0.1, 0.3, 1.0))
)
SHARES: Final = (0.6, 0.2, 0.2)
Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]


class World(NamedTuple):
    """What is known, and what is asked.

    Attributes
    ----------
    train
        Of the known users.
    there
        int32: rows of the second domain.
    tail
        bool (n_items,): not among the most taken of it.
    asked
        Users, items and which half a user is in: of validation (1) and test (2).
    """

    train: Dataset
    there: npt.NDArray[np.int32]
    tail: Mask
    asked: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int64]]


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default the artists of Last.fm."""
    parser = report.parser(__doc__)
    parser.add_argument("--finer", action="store_true", help="entities are split by domain")
    args = parser.parse_args(argv)
    grid = FINER if args.finer else GRID
    if args.quick:
        grid = ({**QUICK, "hop": float(args.finer)},)
    folder = data.find(args.data, "lastfm-kg", "kg.parquet")
    models: dict[str, dict[str, float]] = {}
    chosen: dict[str, dict[str, float]] = {}
    intervals: dict[str, list[float]] = {}
    with Meter() as meter:
        for name in ("apart", "together"):
            world = read(folder, name == "apart", args.seed, finer=args.finer)
            chosen[name] = _choose(world, grid)
            walk = Related.parse(chosen[name])
            alone = walk.model_copy(update={"people": 0.0})
            specs = {"related": walk, "related, graph alone": alone, "popular": Popular()}
            if args.finer:
                specs["related, no hops"] = walk.model_copy(update={"hop": 0.0})
            marked = {}
            for model, spec in {**specs, "item-knn": ItemKNN()}.items():
                marked[model] = marks(spec.fit(world.train, rng=args.seed), world, 2)
                models[f"{name}: {model}"] = _means(marked[model])
            gain = marked["related"] - marked["popular"]
            for column, what in enumerate((f"recall@{K}", f"tail recall@{K}")):
                (found,) = percentile(bootstrap(gain[:, [column]], seed=args.seed))
                intervals[f"{name}: {what} over popular"] = list(found)
    report.show(f"the second domain, {len(gain):,} users", models)
    figures = {
        f"{name} {what}": value
        for name in chosen
        for what, value in models[f"{name}: related"].items()
    }
    return report.outcome(
        meter,
        protocol=f"{(__doc__ or '').split('.')[0]}; domains drawn, users 60:20:20, test asked once",
        figures=figures,
        intervals=intervals,
        models=models,
        seed=args.seed,
        fingerprint=world.train.fingerprint,
        data=folder.name,
        chosen=chosen,
    )


def read(folder: Path, apart: bool, seed: int, *, finer: bool = False) -> World:
    """Read a folder and draw domains, users, and in a world apart what is known of each."""
    table, graph = (
        pq.read_table(folder / "interactions.parquet"),
        pq.read_table(folder / "kg.parquet"),
    )
    users, items = table["user_id"].to_numpy(), table["item_id"].to_numpy()
    heads = graph["head"].to_numpy()
    known = np.unique(np.concatenate((items, heads)))
    people, user = np.unique(users, return_inverse=True)
    item = np.searchsorted(known, items)
    random = np.random.default_rng(seed)
    second = random.random(len(known)) < 0.5
    part = random.choice(3, len(people), p=SHARES)
    keeps = random.random(len(people)) < 0.5
    kept = part[user] == 0
    if apart:
        kept &= second[item] == keeps[user]
    train = Dataset.of(
        [str(one) for one in users[kept]],
        [str(one) for one in items[kept]],
        catalogue=_catalogue(known, second, graph, finer=finer),
    )
    rows = train.items.rows([str(one) for one in known])
    there = np.sort(rows[second]).astype(np.int32)
    counts = np.bincount(train.column("item"), minlength=len(known))
    tail = np.ones(len(known), bool)
    tail[there[np.argsort(-counts[there], kind="stable")[:HEAD]]] = False
    rest = ~kept & (part[user] > 0)
    return World(train, there, tail, (user[rest], rows[item[rest]], part[user[rest]]))


def _catalogue(known: npt.NDArray[Any], second: Mask, graph: pa.Table, *, finer: bool) -> pa.Table:
    told: dict[str, dict[str, list[Any]]] = {}
    ids = [str(one) for one in known]
    domain = dict(zip(ids, np.where(second, "second", "first").tolist(), strict=True))
    for row in graph.to_pylist():
        head, tail = str(row["head"]), str(row["tail"])
        part = {"name": f"{tail}, {domain[head]}", "part_of": tail}
        relations = told.setdefault(head, {}).setdefault(row["relation"], [])
        relations.append(part if finer and tail not in domain else tail)
    return pa.table(
        {
            "item_id": ids,
            "domain": list(domain.values()),
            "relations": [json.dumps(told[one]) if one in told else None for one in ids],
        }
    )


def _choose(world: World, grid: tuple[dict[str, float], ...]) -> dict[str, float]:
    """Return the settings of the best recall on validation."""
    found = []
    for settings in grid:
        model = Related.parse(settings).fit(world.train)
        found.append(float(marks(model, world, 1)[:, 0].mean()))
        report.say(f"{settings}: {found[-1]:.4f}")
    return dict(grid[int(np.argmax(found))])


def marks(model: Model, world: World, part: int) -> Values:
    """Return float64 (n, 2): recall of each user, and of the tail; NaN without such a target."""
    users, items, parts = world.asked
    second = np.zeros(len(model.items), bool)
    second[world.there] = True
    histories, wanted = [], []
    for user in np.unique(users[parts == part]):
        own = items[users == user]
        if second[own].any() and not second[own].all():
            histories.append(own[~second[own]])
            wanted.append(np.unique(own[second[own]]))
    queries = Queries.of_histories(histories)
    rare = [one[world.tail[one]] for one in wanted]
    whole = _recall(model, replace(queries, allowed=world.there), wanted)
    among = world.there[world.tail[world.there]]
    return np.stack([whole, _recall(model, replace(queries, allowed=among), rare)], axis=1)


def _recall(model: Model, queries: Queries, wanted: list[npt.NDArray[np.int32]]) -> Values:
    """Return float64 (n,): hits among the first `K` over the most there can be; NaN without any."""
    counts = np.array([len(one) for one in wanted])
    targets = Targets(np.concatenate(([0], np.cumsum(counts))), np.concatenate(wanted))
    found = hits(model.retrieve(queries, K), targets, K).sum(axis=1)
    return np.where(counts > 0, found / np.maximum(np.minimum(counts, K), 1), np.nan)


def _means(values: Values) -> dict[str, float]:
    names = (f"recall@{K}", f"tail recall@{K}")
    known = [column[~np.isnan(column)] for column in values.T]
    return {
        name: float(column.mean()) if len(column) else float("nan")
        for name, column in zip(names, known, strict=True)
    }

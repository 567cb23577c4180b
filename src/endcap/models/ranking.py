"""The second stage: one score for each candidate, from everything known at the moment of asking."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import numba
import numpy as np
import numpy.typing as npt

from endcap.features.items import item_features
from endcap.features.labels import item_labels, telling
from endcap.models.candidates import Candidates
from endcap.models.queries import Queries
from endcap.models.store import publishing, read_manifest, write_manifest
from endcap.models.trees import Trees
from endcap.prepare.dataset import Dataset
from endcap.prepare.weights import DAY_US
from endcap.schema.errors import ArtefactError

Floats = npt.NDArray[np.float32]
COUNTS: Final = ("events", "users", "popularity_1d", "popularity_7d", "popularity_28d")
PLAIN: Final = ("price_bucket", "age_days", "trend")
TREES: Final = "trees.txt"
ARRAYS: Final = ("values", "price", "department", "brand")
LABELS: Final = ("label_ends", "labels")
PERSONAL: Final = (
    "score",
    "place",
    "history_events",
    "history_items",
    "idle_days",
    "own_age_events",
    "price_apart",
    "department_share",
    "brand_share",
)
LIKENESS: Final = ("like_mean", "like_most", "like_last")
RECENT: Final = 30
"""A candidate is compared with so many of the shopper's latest events."""


@dataclass(frozen=True)
class ItemFacts:
    """What is known of each item when the models were fitted.

    Attributes
    ----------
    values
        float32 (n_items, 8): `COUNTS` in logs, then `PLAIN`; NaN where unknown.
    price
        float32 (n_items,): log of the price, NaN where unknown.
    department, brand
        int32 (n_items,): codes, -1 where unknown.
    label_ends, labels
        int64 (n_items + 1,) and int32: what each item is (`features.labels`), rising numbers;
        item i owns ``labels[label_ends[i]:label_ends[i + 1]]``.
    end
        Of the events that were seen, UTC microseconds.
    """

    values: Floats
    price: Floats
    department: npt.NDArray[np.int32]
    brand: npt.NDArray[np.int32]
    label_ends: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int32]
    end: int

    @classmethod
    def of(cls, data: Dataset) -> Self:
        """Look at the items as of the end of `data`."""
        table = item_features(data, data.end + 1)
        columns = {
            name: np.asarray(table[name].to_numpy(), np.float32)
            for name in (*COUNTS, *PLAIN, "price")
        }
        rows = [np.log1p(columns[name]) for name in COUNTS]
        rows += [columns[name] for name in PLAIN]
        price = columns["price"]
        borne = telling(item_labels(data.item_table))
        return cls(
            np.stack(rows, axis=1),
            np.log(np.where(price > 0, price, np.nan), dtype=np.float32),
            table["department"].to_numpy(),
            table["brand"].to_numpy(),
            borne.indptr.astype(np.int64),
            borne.indices.astype(np.int32),
            data.end,
        )


@dataclass(frozen=True)
class Ranker:
    """Scores candidates by boosted trees over `features`.

    Attributes
    ----------
    members, kinds
        The models whose opinions it reads, and the kinds of event that it counts, in order.
    facts
        Of the items.
    model
        The trees in LightGBM's text format: it is read without LightGBM, and holds no code.

    Stability: caller.
    """

    members: tuple[str, ...]
    kinds: tuple[str, ...]
    facts: ItemFacts
    model: str

    @cached_property
    def trees(self) -> Trees:
        """The trees, read."""
        return Trees.parse(self.model)

    def score(self, queries: Queries, candidates: Candidates, shares: Floats) -> Floats:
        """Return float32 (nnz,): one score for each candidate in the same order.

        Parameters
        ----------
        candidates
            With the score of the first stage, best first.
        shares
            float32 (members, nnz): what each member says of each candidate.
        """
        rows = features(self.facts, self.kinds, queries, candidates, shares)
        read = rows[:, : self.trees.n_features]  # trees grown before likeness was told read less
        return self.trees.predict(read).astype(np.float32)


def save_ranker(ranker: Ranker, folder: Path) -> None:
    """Write `ranker` to `folder`, which must not exist: text, arrays, a manifest with hashes."""
    with publishing(folder) as draft:
        (draft / TREES).write_text(ranker.model, encoding="utf-8")
        for name in (*ARRAYS, *LABELS):
            np.save(draft / f"{name}.npy", getattr(ranker.facts, name), allow_pickle=False)
        told = {"members": ranker.members, "kinds": ranker.kinds, "end": ranker.facts.end}
        write_manifest(draft, told)


def load_ranker(folder: Path) -> Ranker:
    """Read a ranker back, arrays memory-mapped but for the labels.

    Raises
    ------
    ArtefactError
        When a file is missing or changed, or the trees are none.
    """
    manifest = read_manifest(folder)
    arrays = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS
    }
    if f"{LABELS[0]}.npy" in manifest["files"]:
        # Not mapped: what only reads is another type to Numba, which would compile once more.
        arrays |= {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in LABELS}
    else:  # of a version whose trees read no likeness
        empty = np.zeros(len(arrays["values"]) + 1, np.int64), np.zeros(0, np.int32)
        arrays |= dict(zip(LABELS, empty, strict=True))
    facts = ItemFacts(**arrays, end=manifest["end"])
    members, kinds = tuple(manifest["members"]), tuple(manifest["kinds"])
    text = (folder / TREES).read_text(encoding="utf-8")
    ranker = Ranker(members, kinds, facts, text)
    width = len(feature_names(members, kinds))
    if ranker.trees.n_features not in {width, width - len(LIKENESS)}:  # the latter: grown before
        raise ArtefactError(
            f"{folder}: trees over {ranker.trees.n_features} features, not {width}."
        )
    return ranker


def feature_names(members: Sequence[str], kinds: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns of `features`."""
    return (
        *(f"share_{name}" for name in members),
        *(f"place_{name}" for name in members),
        *(f"own_{kind}" for kind in kinds),
        *PERSONAL,
        *COUNTS,
        *PLAIN,
        *LIKENESS,
    )


def features(
    facts: ItemFacts,
    kinds: Sequence[str],
    queries: Queries,
    candidates: Candidates,
    shares: Floats,
) -> Floats:
    """Return float32 (nnz, n_features): what is known of each candidate, NaN where nothing is.

    Of each member its share and the candidate's place by it; how often the shopper had an event
    of each kind with the item, and how many events ago the last was; the length of the history
    and its pause; how far the price lies from those of the history, and what share of it has the
    same department and brand; the `ItemFacts`; and how alike the candidate is to the `RECENT`
    events (cosine of labels: mean, most, and to the last).
    """
    owner, items = candidates.query_of, candidates.items
    lengths = np.diff(queries.indptr)
    columns = [
        *shares,
        *(_places(owner, share) for share in shares),
        *_own(kinds, queries, candidates),
    ]
    last = np.zeros(len(queries), np.int64)
    np.maximum.at(last, queries.query_of, queries.times)
    now = np.where(queries.now > 0, queries.now, facts.end)
    idle = np.where(lengths > 0, (now - last) / DAY_US, np.nan)
    columns += [
        candidates.scores,
        _places(owner, candidates.scores),
        lengths[owner],
        _distinct(queries)[owner],
        idle[owner],
        _own_age(queries, candidates),
        facts.price[items] - _mean(queries, facts.price)[owner],
        _same(queries, candidates, facts.department),
        _same(queries, candidates, facts.brand),
    ]
    like = _alike(facts, queries, candidates)
    told = (np.asarray(column, np.float32) for column in columns)
    return np.column_stack((*told, facts.values[items], *like))


def _places(owner: npt.NDArray[np.int64], values: Floats) -> npt.NDArray[np.int64]:
    """Return int64 (nnz,): how many candidates of the same query have a higher value."""
    order = np.lexsort((-values, owner))
    begins = np.searchsorted(owner[order], owner[order])
    place = np.arange(len(order)) - begins
    fresh = np.ones(len(order), bool)
    fresh[1:] = (np.diff(owner[order]) != 0) | (np.diff(values[order]) != 0)
    first = np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))
    out = np.empty(len(order), np.int64)
    out[order] = place[first]
    return out


def _own(
    kinds: Sequence[str], queries: Queries, candidates: Candidates
) -> list[npt.NDArray[np.float64]]:
    """Return, for each kind, how many events of it the shopper had with each candidate."""
    return [_sum_at(queries, candidates, queries.of_kind({kind: 1.0})) for kind in kinds]


def _sum_at(
    queries: Queries, candidates: Candidates, values: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Sum `values`, one for each history entry, over the events with each candidate."""
    at, found = _lookup(queries, candidates)
    return np.bincount(at[found], values[found], len(candidates.items)).astype(np.float64)


def _lookup(
    queries: Queries, candidates: Candidates
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return where each history entry stands among its query's candidates, and whether it does."""
    width = 1 + max(int(queries.items.max(initial=0)), int(candidates.items.max(initial=0)))
    keys = candidates.query_of * width + candidates.items
    order = np.argsort(keys, kind="stable")
    wanted = queries.query_of * width + np.maximum(queries.items, 0)
    at = np.minimum(np.searchsorted(keys[order], wanted), max(0, len(keys) - 1))
    if not len(keys):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    return order[at], (keys[order][at] == wanted) & (queries.items >= 0)


def _own_age(queries: Queries, candidates: Candidates) -> npt.NDArray[np.float64]:
    """Return how many events ago the shopper last had each candidate; NaN for never."""
    at, found = _lookup(queries, candidates)
    age = queries.indptr[1:][queries.query_of] - 1 - np.arange(len(queries.items))
    out = np.full(len(candidates.items), np.inf)
    np.minimum.at(out, at[found], age[found])
    return np.where(np.isfinite(out), out, np.nan)


def _distinct(queries: Queries) -> npt.NDArray[np.int64]:
    """Return int64 (n,): how many different items each history holds."""
    width = int(queries.items.max(initial=0)) + 1
    known = queries.items >= 0
    pairs = np.unique(queries.query_of[known] * width + queries.items[known])
    return np.bincount(pairs // width, minlength=len(queries))


def _mean(queries: Queries, values: Floats) -> npt.NDArray[np.float64]:
    """Return float64 (n,): the mean of an item's value over each history, NaN without any."""
    told = np.where(queries.items >= 0, values[np.maximum(queries.items, 0)], np.nan)
    known = np.isfinite(told)
    owner = queries.query_of[known]
    total = np.bincount(owner, told[known], minlength=len(queries))
    count = np.bincount(owner, minlength=len(queries))
    return np.asarray(total / np.where(count > 0, count, np.nan))


def _same(
    queries: Queries, candidates: Candidates, codes: npt.NDArray[np.int32]
) -> npt.NDArray[np.float64]:
    """Return float64 (nnz,): the share of the history with the code of the candidate; or NaN."""
    width = int(codes.max(initial=0)) + 1
    known = (queries.items >= 0) & (codes[np.maximum(queries.items, 0)] >= 0)
    told = queries.query_of[known] * width + codes[queries.items[known]]
    keys, counts = np.unique(told, return_counts=True)
    asked = candidates.query_of * width + codes[candidates.items]
    at = np.minimum(np.searchsorted(keys, asked), max(0, len(keys) - 1))
    found = (keys[at] == asked) if len(keys) else np.zeros(len(asked), bool)
    same = np.where(found, counts[at] if len(keys) else 0, 0)
    total = np.bincount(queries.query_of[known], minlength=len(queries))[candidates.query_of]
    said = (codes[candidates.items] >= 0) & (total > 0)
    return np.where(said, same / np.maximum(total, 1), np.nan)


def _alike(facts: ItemFacts, queries: Queries, candidates: Candidates) -> Floats:
    """Return float32 (3, nnz): how alike to the latest events; NaN where either side is unknown."""
    found: Floats = _cosines(
        np.asarray(facts.label_ends),
        np.asarray(facts.labels),
        queries.indptr,
        queries.items,
        candidates.indptr,
        candidates.items,
        RECENT,
    )
    return found


@numba.njit(cache=True, nogil=True)
def _cosines(ends, labels, past_ends, past, list_ends, listed, recent):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    out = np.full((3, len(listed)), np.nan, np.float32)
    for q in range(len(list_ends) - 1):
        begin = max(past_ends[q], past_ends[q + 1] - recent)
        for at in range(list_ends[q], list_ends[q + 1]):
            total, most, last, known = 0.0, 0.0, 0.0, 0
            for event in range(begin, past_ends[q + 1]):
                if past[event] < 0 or ends[past[event] + 1] == ends[past[event]]:
                    continue
                last = _cosine(ends, labels, listed[at], past[event])
                total, most, known = total + last, max(most, last), known + 1
            if known and ends[listed[at] + 1] > ends[listed[at]]:
                out[:, at] = total / known, most, last
    return out


@numba.njit(cache=True, nogil=True)
def _cosine(ends, labels, one, other):  # type: ignore[no-untyped-def]
    """Walk along the labels of two items, both rising."""
    a, b = ends[one], ends[other]
    a_end, b_end = ends[one + 1], ends[other + 1]
    size = np.sqrt((a_end - a) * (b_end - b))
    both = 0
    while a < a_end and b < b_end:
        both += labels[a] == labels[b]
        step_a, step_b = labels[a] <= labels[b], labels[b] <= labels[a]
        a += step_a
        b += step_b
    return both / size if both else 0.0

"""The next click of a session: every prefix of every later session asks what comes next.

The folder holds `train_sessions.parquet` (`session_id`, `item_id`, `pos`; sessions numbered in
order of time) and `test_prefixes.parquet` (`prefix`, `target`), as the papers on sessions cut
them. Models learn from whole sessions; settings and the blend are chosen on the prefixes of the
last training sessions, as many as the test has, at most a tenth; then everything is fitted on all
sessions and asked once. Repeats are allowed, all items are ranked, and there is one target, so
that the papers' P@20 is `hit@20` here and their MRR@20 is `mrr@20`.

    python -m benchmarks sessions                                   (Diginetica)
    python -m benchmarks sessions --data DIR --k 20 --budget 10m
    python -m benchmarks sessions --models vmis-knn,slit --markdown
"""

import argparse
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import data, study
from benchmarks.data import Folder
from endcap.evaluate.lineup import Entrant
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import Rule, Split
from endcap.schema.errors import DataError

TRAIN_FILE: Final = "train_sessions.parquet"
TEST_FILE: Final = "test_prefixes.parquet"
MOST: Final = 0.1
"""The largest share of the training sessions that validation may take."""
ENTRANTS: Final = {
    "popular": Entrant("popular"),
    "repeat": Entrant(
        "repeat",
        {"within_decay": (0.85, 0.7), "rebuy": (0.3, 0.6, 0.0)},
        {"own": 1.0, "popular": 0.0, "group": 100, "group_decay": 1.0},
    ),
    "transitions": Entrant(
        "transitions",
        {
            "decay_events": (1.0, 0.6, 1.5),
            "reach": (1.0, 2.0),
            "target": (0.0, 0.3),
            "second_step": (0.3, 0.0),
        },
    ),
    "vmis-knn": Entrant(
        "vmis-knn",
        {
            "decay_events": (1.5, 3.0, 1.0),
            "before": (0.8, 0.5),
            "recency": (1.0, 0.0, 0.5),
            "popularity": (-0.2, 0.0),
            "length_norm": (0.25, 0.5),
            "gap_decay": (2.0, 4.0, 1.0),
            "sharpness": (1.0, 1.3),
        },
    ),
    "slit": Entrant(
        "slit",
        {
            "decay_events": (1.5, 1.0, 3.0),
            "order_free": (0.5, 1.0),
            "l2": (10.0, 30.0, 3.0),
            "past_decay": (1.5, 3.0),
            "future_decay": (1.5, 3.0),
            "popularity": (0.0, -0.2),
        },
        {"sources": 100},
    ),
    "item-knn": Entrant(
        "item-knn",
        {
            "decay_events": (2.0, 3.0),
            "source_norm": (0.7, 0.5),
            "shrink": (5.0, 0.0),
            "weighting": ("none", "tf-idf"),
        },
        {"neighbours": 200},
    ),
}
"""Who takes part; `repeat` is the shopper's own session only."""
QUICK: Final = ("popular", "repeat", "transitions", "vmis-knn")


class Sessions(NamedTuple):
    """Ragged lists of item ids: list s is ``items[indptr[s]:indptr[s + 1]]``."""

    indptr: npt.NDArray[np.int64]
    items: pa.Array

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """int64 (n,): how many items each list has."""
        return np.diff(self.indptr)


class LastSessions(Rule):
    """Every prefix of the last `count` sessions asks what came next; the others train."""

    count: int

    def apply(self, data: Dataset) -> Split:
        """Cut `data`, whose users are sessions."""
        seq = data.sequences()
        told = np.flatnonzero(np.diff(seq.indptr))
        order = told[np.argsort(seq.times[seq.indptr[told + 1] - 1], kind="stable")]
        spans = seq.indptr[order], np.diff(seq.indptr)[order]
        items = data.items.array.take(pa.array(seq.items[gather(*spans)]))
        sessions = Sessions(np.concatenate(([0], np.cumsum(spans[1]))), items)
        return held_out(sessions, self)


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Diginetica."""
    args = study.parser(__doc__).parse_args(argv)
    args.keep_seen = True
    path = data.find(args.data, "diginetica", TRAIN_FILE)
    sessions, prefixes, targets = read(path)
    count = validation_sessions(sessions, len(targets))
    rule = LastSessions(count=count)
    test = asked(sessions, prefixes, targets, rule, "the prefixes that came with the data")
    valid = held_out(sessions, rule)
    source = Folder(path.name, test.train, None, clocked=False)
    ks = tuple(args.k or (20, 10))
    return study.study(args, source, test, valid, ks, rivals=rivals(args))


def rivals(args: argparse.Namespace) -> dict[str, Entrant]:
    """Return who takes part; see `study.rivals`."""
    return study.rivals(args, ENTRANTS, QUICK)


def read(path: Path) -> tuple[Sessions, Sessions, pa.Array]:
    """Return the training sessions in order of time, the prefixes of the test, their targets.

    Raises
    ------
    DataError
        When a file or a column is missing, or a file is empty.
    """
    train = _table(path / TRAIN_FILE, "session_id", "item_id", "pos")
    test = _table(path / TEST_FILE, "prefix", "target")
    train = train.sort_by([("session_id", "ascending"), ("pos", "ascending")])
    ids = train["session_id"].to_numpy()
    starts = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))
    sessions = Sessions(np.append(starts, len(ids)), _strings(train["item_id"]))
    lengths = pc.list_value_length(test["prefix"]).to_numpy()
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    prefixes = Sessions(indptr, _strings(pc.list_flatten(test["prefix"])))
    return sessions, prefixes, _strings(test["target"])


def validation_sessions(sessions: Sessions, asked: int) -> int:
    """Return how many of the last sessions have as many prefixes as were `asked`, a tenth at most.

    Raises
    ------
    DataError
        When there are fewer than two sessions.
    """
    n = len(sessions.lengths)
    if n < 2:
        raise DataError(f"{n} session(s) cannot be cut.", hint="Bring at least two.")
    behind = np.cumsum((sessions.lengths - 1)[::-1])
    return int(np.clip(np.searchsorted(behind, asked) + 1, 1, max(1, int(MOST * n))))


def held_out(sessions: Sessions, rule: LastSessions) -> Split:
    """Ask about every prefix of the last sessions."""
    first = len(sessions.lengths) - rule.count
    cut = int(sessions.indptr[first])
    known = Sessions(sessions.indptr[: first + 1], sessions.items[:cut])
    lengths = sessions.lengths[first:]
    owner = np.repeat(np.arange(rule.count), np.maximum(lengths - 1, 0))
    size = np.arange(len(owner)) - np.searchsorted(owner, owner) + 1
    starts = sessions.indptr[first:-1][owner]
    prefixes = Sessions(
        np.concatenate(([0], np.cumsum(size))).astype(np.int64),
        sessions.items.take(pa.array(gather(starts, size))),
    )
    targets = sessions.items.take(pa.array(starts + size))
    return asked(
        known, prefixes, targets, rule, f"every prefix of the last {rule.count:,} sessions"
    )


def asked(
    sessions: Sessions, prefixes: Sessions, targets: pa.Array, rule: Rule, text: str
) -> Split:
    """Return the split that learns from `sessions` and asks what follows each prefix."""
    n, m = len(sessions.items), len(prefixes.items)
    strangers = np.arange(len(targets)) + len(sessions.lengths)
    owner = np.concatenate(
        (
            np.repeat(np.arange(len(sessions.lengths)), sessions.lengths),
            np.repeat(strangers, prefixes.lengths),
            strangers,
        )
    )
    ids = pc.utf8_lpad(pc.cast(pa.array(owner), pa.string()), width=12, padding="0")
    whole = Dataset.of(ids, pa.concat_arrays([sessions.items, prefixes.items, targets]))
    time = whole.column("time")  # the place in the list above
    train, history, held = (
        whole.where(mask) for mask in (time < n, (time >= n) & (time < n + m), time >= n + m)
    )
    moments = np.full(len(targets), train.end, np.int64)
    users = np.unique(held.column("user")).astype(np.int32)
    return Split(train, history, held, users, moments, rule, text, strangers=True)


def gather(starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the places ``start, start + 1, …`` of every span, one after another."""
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(
        starts - ends + lengths, lengths
    )


def _table(path: Path, *columns: str) -> pa.Table:
    if not path.is_file():
        raise DataError(f"{path} is missing.")
    table = pq.read_table(path)
    for name in columns:
        if name not in table.column_names:
            raise DataError(f"{path} has no column {name!r}.")
    if not table.num_rows:
        raise DataError(f"{path} is empty.")
    return table


def _strings(column: pa.ChunkedArray) -> pa.Array:
    return pc.cast(column, pa.string()).combine_chunks()

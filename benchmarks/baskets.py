"""Next basket: what does each shopper buy on their next visit, bought before or not?

Column `split` says which baskets are history and which one is future; where there is none, each
shopper's last basket is the future, of those who have at least three. The last basket of the
history is the validation: settings and the blend are chosen on it alone, then every model is
fitted on the whole history and asked once. Repeats are allowed. What a list finds again
(`repeat_recall`) and what it finds that is new (`explore_recall`) are told apart, each over the
shoppers whose next basket holds such items.

    python -m benchmarks baskets                                    (Ta-Feng)
    python -m benchmarks baskets --data DIR --k 10 --budget 10m
    python -m benchmarks baskets --models repeat,popular --markdown
"""

import argparse
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import data, study
from benchmarks.data import Folder
from endcap.evaluate.exam import Exam
from endcap.evaluate.lineup import Entrant
from endcap.evaluate.metrics import hits
from endcap.models.candidates import Candidates
from endcap.prepare.split import Fixed, Targets
from endcap.schema.errors import DataError

ENTRANTS = {
    "popular": Entrant("popular", {"count": ("users", "events")}),
    "frequency": Entrant(
        "repeat",
        {"popular": (0.01, 0.001, 0.1, 0.3)},
        {"own": 1.0, "rebuy": 0.0, "within_decay": 1.0, "group_decay": 1.0},
    ),
    "repeat": Entrant(
        "repeat",
        {
            "own": (0.3, 0.2, 0.5),
            "popular": (0.5, 0.3, 0.9),
            "rebuy": (0.7, 1.0, 0.4),
            "group": (1, 3),
            "group_decay": (0.9, 0.8, 1.0),
            "within_decay": (0.9, 0.8),
            "neighbours": (300, 600),
        },
    ),
    "item-knn": Entrant(
        "item-knn",
        {
            "confidence": ("log", "weight", "binary"),
            "weighting": ("bm25", "none"),
            "similarity": ("dot", "cosine"),
            "decay_events": (50.0, 0.0, 15.0),
        },
        {"neighbours": 200},
    ),
    "ease": Entrant(
        "ease",
        {"decay_events": (50.0, 0.0, 15.0)},
        {"confidence": "log", "popularity": 0.2, "l2": 300.0},
        cubic_s=30.0,
    ),
}
"""Who takes part; ``frequency`` is the personal frequency with the popular to fill up."""
QUICK = ("popular", "frequency", "repeat", "item-knn")

Rows = npt.NDArray[np.integer]


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Ta-Feng."""
    args = study.parser(__doc__).parse_args(argv)
    args.keep_seen = True
    source = data.load(data.find(args.data, "tafeng"))
    rule = Fixed.model_validate({"labels": labelled(source).tolist(), "refit": True})
    test = rule.apply(source.data)
    found = study.study(
        args,
        source,
        test,
        test.validation(),
        tuple(args.k or (10, 20)),
        rivals=rivals(args),
        measures=repeat_and_explore,
    )
    drawn = "the future basket" if source.labels is not None else "each shopper's last basket"
    return found | {"protocol": f"{found['protocol']}; test is {drawn}, valid the one before it"}


def rivals(args: argparse.Namespace) -> dict[str, Entrant]:
    """Return who takes part; see `study.rivals`."""
    return study.rivals(args, ENTRANTS, QUICK)


def labelled(source: Folder) -> npt.NDArray[np.str_]:
    """Return train, valid or test for each interaction, whole baskets at a time.

    What the source calls test stays so; without such a column it is the last basket of everybody
    with three or more. The last basket before it is valid, unless it is a shopper's only one.
    """
    users, sessions = source.data.column("user"), source.data.column("session")
    behind = newer_baskets(users, sessions)
    if source.labels is None:
        future = (behind == 0) & (_most(users, behind) >= 2)
    else:
        future = source.labels == "test"
    if not future.any():
        raise DataError(
            f"{source.name} has no basket to foresee.",
            hint="Mark it 'future' in the column 'split', or bring shoppers of three baskets.",
        )
    labels = np.where(future, "test", "train").astype("<U5")
    past = np.flatnonzero(~future)
    behind = newer_baskets(users[past], sessions[past])
    labels[past[(behind == 0) & (_most(users[past], behind) >= 1)]] = "valid"
    if source.labels is None:
        labels[~np.isin(users, users[future])] = "train"
    return labels


def newer_baskets(users: Rows, sessions: Rows) -> Rows:
    """Return int64 (n,): how many newer baskets the shopper of each interaction has.

    Parameters
    ----------
    users, sessions
        Of interactions sorted by user and time; a basket is a run of one session.
    """
    fresh = np.ones(len(users), dtype=bool)
    fresh[1:] = (np.diff(users) != 0) | (np.diff(sessions) != 0)
    basket = np.cumsum(fresh)
    last = np.zeros(int(users.max(initial=-1)) + 1, np.int64)
    np.maximum.at(last, users, basket)
    return np.asarray(last[users] - basket, np.int64)


def repeat_and_explore(lists: Candidates, exam: Exam, k: int) -> dict[str, float]:
    """Return the recall of what a shopper had before, of what is new, and the share of repeats."""
    width = exam.split.train.shape[1]
    wanted = exam.targets.owner * width + exam.targets.items
    had = np.unique(exam.queries.query_of * width + exam.queries.items)
    again = np.isin(wanted, had)
    out = {}
    for name, kept in (("repeat", again), ("explore", ~again)):
        counts = np.bincount(exam.targets.owner[kept], minlength=len(exam))
        part = Targets(np.concatenate(([0], np.cumsum(counts))), exam.targets.items[kept])
        asked = exam.warm & (counts > 0)
        found = hits(lists, part, k).sum(axis=1)[asked] / counts[asked]
        out[f"{name}_recall@{k}"] = float(found.mean()) if len(found) else float("nan")
    shown = lists.query_of * width + lists.items
    share = float(np.isin(shown, had).mean()) if len(shown) else float("nan")
    return out | {f"repeat_share@{k}": share}


def _most(users: Rows, behind: Rows) -> Rows:
    """Return, for each interaction, the most newer baskets that any of its shopper's has."""
    most = np.zeros(int(users.max(initial=-1)) + 1, np.int64)
    np.maximum.at(most, users, behind)
    return np.asarray(most[users])

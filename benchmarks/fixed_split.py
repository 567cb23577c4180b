"""Ranking on the split that came with the data: column `split` with train, valid and test.

Settings are chosen on valid, then models are fitted on train and valid and asked about test. Where
nothing is marked valid, a random tenth of train is; where there is no column, a random tenth is
test (both by ``--seed``, and named in the protocol). Comparable with papers, wrong to judge a shop.

Where the file lists each user's items in the order in which they were taken, ``--listed`` uses it:
valid, drawn from anywhere in train, is put back evenly, and settings are chosen on what comes last.

    python -m benchmarks fixed_split                                (Gowalla)
    python -m benchmarks fixed_split --listed --budget 10m
    python -m benchmarks fixed_split --data DIR --k 10
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks import data, study
from benchmarks.data import Folder
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import Fixed

SHARE = 0.1


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Gowalla."""
    parser = study.parser(__doc__)
    parser.add_argument("--listed", action="store_true", help="the file's order is real: use it")
    args = parser.parse_args(argv)
    source = data.load(data.find(args.data, "gowalla"))
    labels, note = labelled(source, args.seed)
    if args.listed:
        source, labels, said = listed(source, np.asarray(labels))
        note += said
    test = Fixed.model_validate({"labels": labels, "refit": True}).apply(source.data)
    found = study.study(args, source, test, test.validation(), tuple(args.k or (20, 10)))
    return found | {"protocol": found["protocol"] + note}


def labelled(source: Folder, seed: int) -> tuple[list[str], str]:
    """Return a full set of labels and, for the protocol, what had to be drawn."""
    random = np.random.default_rng(seed)
    n = source.data.interactions.num_rows
    labels = np.full(n, "train") if source.labels is None else source.labels.copy()
    drawn = []
    for part in ("test", "valid"):
        if not (labels == part).any():
            labels[(labels == "train") & (random.random(n) < SHARE)] = part
            drawn.append(part)
    note = f"; {' and '.join(drawn)} drawn at random ({SHARE:.0%} of train)" if drawn else ""
    return labels.tolist(), note


def listed(source: Folder, labels: npt.NDArray[np.str_]) -> tuple[Folder, list[str], str]:
    """Take the order of the file for the order of events, and what comes last for valid.

    As many of each user's known items become valid as are valid now. Rows marked test only
    stay where they are: after all others, in one moment.

    Returns
    -------
    The folder in that order, a label for each row, and a note for the protocol.
    """
    users, tested = source.data.column("user"), labels == "test"
    place = np.empty(len(users))
    for part in ("train", "valid"):
        rows = np.flatnonzero(labels == part)
        counts = np.bincount(users[rows], minlength=len(source.data.users))
        first = np.cumsum(counts) - counts
        place[rows] = (np.arange(len(rows)) - first[users[rows]] + 0.5) / counts[users[rows]]
    place[tested] = 2
    moved = Dataset.of(
        source.data.users.array.take(pa.array(users)),
        source.data.items.array.take(pa.array(source.data.column("item"))),
        times=(place * 1e9).astype(np.int64),
        catalogue=source.data.item_table,
    )
    order = np.lexsort((np.arange(len(users)), place, users))
    known = np.bincount(users[~tested], minlength=len(source.data.users))
    held = np.bincount(users[labels == "valid"], minlength=len(known))
    sorted_users, sorted_tested = users[order], tested[order]
    starts = np.searchsorted(sorted_users, np.arange(len(known)))
    rank = np.arange(len(order)) - starts[sorted_users]
    out = np.where(rank >= (known - held)[sorted_users], "valid", "train")
    out[sorted_tested] = "test"
    note = (
        "; the order of the file within a user taken for real, valid: what comes last before test"
    )
    return replace(source, data=moved, ordered=True), out.tolist(), note

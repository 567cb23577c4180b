"""Ranking on the split that came with the data: column `split` with train, valid and test.

Settings are chosen on valid, then models are fitted on train and valid and asked about test. Where
nothing is marked valid, a random tenth of train is; where there is no column, a random tenth is
test (both by ``--seed``, and named in the protocol). Comparable with papers, wrong to judge a shop.

    python -m benchmarks fixed_split                                (Gowalla)
    python -m benchmarks fixed_split --data DIR --k 10
"""

from typing import Any

import numpy as np

from benchmarks import data, study
from benchmarks.data import Folder
from endcap.prepare.split import Fixed

SHARE = 0.1


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Gowalla."""
    args = study.parser(__doc__).parse_args(argv)
    source = data.load(data.find(args.data, "gowalla"))
    labels, note = labelled(source, args.seed)
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

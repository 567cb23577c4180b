"""Ranking by leave-one-out: each user's last item is foreseen, the one before it chooses settings.

The protocol of the papers on sequential recommendation: comparable with their figures, too kind a
judge for a live shop (others' future is in the training data). A `split` column is followed where
there is one; else the last item of each user is the test and the one before it the validation.
Without ``--refit`` models are fitted on train alone and see the validation item only as history.

    python -m benchmarks leave_one_out                              (Amazon Beauty)
    python -m benchmarks leave_one_out --refit --data DIR
"""

from typing import Any

from benchmarks import data, study
from benchmarks.data import Folder
from endcap.prepare.split import Fixed, last_labels


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Amazon Beauty."""
    parser = study.parser(__doc__)
    parser.add_argument("--refit", action="store_true", help="fit on train and validation")
    args = parser.parse_args(argv)
    source = data.load(data.find(args.data, "beauty"))
    rule = Fixed.model_validate({"labels": labels_of(source), "refit": args.refit})
    test = rule.apply(source.data)
    return study.study(args, source, test, test.validation(), tuple(args.k or (10, 20)))


def labels_of(source: Folder) -> list[str]:
    """Return train, valid or test for each row: the source's own, else the last two are held."""
    if source.labels is not None and {"train", "valid", "test"} <= set(source.labels):
        return list(source.labels)
    return list(last_labels(source.data))

"""Ranking after a moment in time: the last 28 days are foreseen from everything before.

One cut for everybody, as a live shop would have it. Settings are chosen on the 28 days before the
cut, then each model is fitted once on all that is before it and asked once. Data shorter than four
such windows are cut at their last fifth.

    python -m benchmarks temporal                                   (Online Retail)
    python -m benchmarks temporal --data DIR --keep-seen --k 10
    python -m benchmarks temporal --markdown --html report.html --peers implicit,irspack
"""

from typing import Any

from benchmarks import data, study
from endcap.prepare.split import DAY_US, Temporal
from endcap.schema.errors import DataError

DAYS = 28.0
SHARE = 0.2


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Online Retail."""
    parser = study.parser(__doc__)
    parser.add_argument("--days", type=float, default=DAYS, help="length of the test, days")
    args = parser.parse_args(argv)
    source = data.load(data.find(args.data, "online-retail"))
    if not source.clocked:
        raise DataError(
            f"{source.name} has no column 'timestamp': there is no moment to cut at.",
            hint="Use leave_one_out or fixed_split.",
        )
    times = source.data.column("time")
    long = times.max() - times.min() >= 4 * args.days * DAY_US
    rule = Temporal(days=args.days) if long else Temporal(fraction=SHARE)
    test = rule.apply(source.data)
    return study.study(args, source, test, test.validation(), tuple(args.k or (10, 20)))

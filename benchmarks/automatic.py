"""What ``endcap train`` finds in ten minutes against the best that patience finds.

The protocol is run twice on the same data with the same seed: once within the budget, as a shop
would (a share of it kept for the second stage, where there are shoppers enough), and once with
every setting of every model tried, a second stage, and the peers. The ratio is that of NDCG on the
test. "By hand" is thus a search without a clock over the same settings; each model alone, the
blend, the second stage and each peer may win it.

    python -m benchmarks automatic                                       (Online Retail)
    python -m benchmarks automatic --protocol fixed_split --data DIR --k 10
    python -m benchmarks automatic --protocol sessions --by-hand "--models slit,vmis-knn --rank"

With ``--by-hand`` the second run takes these flags instead: who takes part was then chosen by a
person, and so was the time.
"""

import importlib
import shlex
from typing import Any, Final

from benchmarks import report, study
from endcap.evaluate.learning import RANK_SHARE
from endcap.evaluate.meter import Meter
from endcap.schema.spans import seconds

BUDGET: Final = "10m"
PROTOCOLS: Final = (
    "baskets",
    "behaviours",
    "fixed_split",
    "leave_one_out",
    "sessions",
    "temporal",
)
WORTH: Final = 0.97
"""The share that is asked for."""


def main(argv: list[str]) -> dict[str, Any]:
    """Run ``--protocol``, by default `temporal`, on ``--data``, by default that protocol's own."""
    out = study.parser(__doc__)
    out.add_argument("--protocol", default="temporal", choices=PROTOCOLS)
    out.add_argument("--by-hand", default="--rank", help="flags of the run to compare with")
    args, _ = out.parse_known_args(argv)
    asked = _without(argv, "--protocol", "--budget", "--peers", "--by-hand")
    patience = [*shlex.split(args.by_hand), *(["--peers", args.peers] * bool(args.peers))]
    protocol = importlib.import_module(f"benchmarks.{args.protocol}")
    with Meter() as meter:
        budget = seconds(args.budget or BUDGET) * (1 - RANK_SHARE)
        found = protocol.main([*asked, "--budget", f"{budget:g}s", "--rank"])
        patient = protocol.main([*asked, *patience])
    metric = next(key for key in found["figures"] if key.startswith("ndcg@"))
    rivals = {name: row[metric] for name, row in (patient["models"] | patient["peers"]).items()}
    best = max(rivals, key=lambda name: rivals[name])
    ratio = found["figures"][metric] / rivals[best]
    print(
        f"{metric}: {found['figures'][metric]:.4f} ({found['chosen']}) in {found['wall_s']:.0f} s"
    )
    print(f"best by hand: {rivals[best]:.4f} ({best}) in {patient['wall_s']:.0f} s")
    print(f"ratio {ratio:.4f} (asked: {WORTH})")
    return report.outcome(
        meter,
        protocol=f"{found['protocol']}; against {args.by_hand} {args.peers or ''}",
        figures={metric: found["figures"][metric], "ratio": ratio, "best": rivals[best]},
        intervals=found["intervals"],
        models=patient["models"],
        peers=patient["peers"],
        seed=found["seed"],
        fingerprint=found["fingerprint"],
        data=found["data"],
        chosen=found["chosen"],
        best=best,
        seconds={"automatic": found["wall_s"], "patient": patient["wall_s"]},
    )


def _without(argv: list[str], *flags: str) -> list[str]:
    """Return the words that are neither one of the flags nor its value."""
    kept, skip = [], False
    for word in argv:
        name, _, value = word.partition("=")
        if name in flags:
            skip = not value
        elif skip:
            skip = False
        else:
            kept.append(word)
    return kept

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
person, and so was the time. A number instead of flags is the NDCG that such a run has reached
before, on the same data and seed: nothing is run again.
"""

import argparse
import importlib
import shlex
from types import ModuleType
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
    out.add_argument("--by-hand", default="--rank", help="flags to compare with, or what they gave")
    args, _ = out.parse_known_args(argv)
    asked = _without(argv, "--protocol", "--budget", "--peers", "--by-hand")
    protocol = importlib.import_module(f"benchmarks.{args.protocol}")
    with Meter() as meter:
        budget = seconds(args.budget or BUDGET) * (1 - RANK_SHARE)
        chosen_alone = ["--rank", "--only-chosen"]
        found = protocol.main([*asked, "--budget", f"{budget:g}s", *chosen_alone])
        metric = next(key for key in found["figures"] if key.startswith("ndcg@"))
        ours = found["figures"][metric]
        print(
            f"{metric}: {ours:.4f} ({found['chosen']}), chosen in {found['choosing_s']:.0f} s, "
            f"fitted again in {found['figures']['fit_s']:.0f} s",
            flush=True,
        )
        rivals, patient = _by_hand(args, protocol, asked, metric)
    best = max(rivals, key=lambda name: rivals[name])
    ratio = ours / rivals[best]
    print(f"best by hand: {rivals[best]:.4f} ({best})")
    print(f"ratio {ratio:.4f} (asked: {WORTH})")
    return report.outcome(
        meter,
        protocol=f"{found['protocol']}; against {args.by_hand} {args.peers or ''}",
        figures={metric: ours, "ratio": ratio, "best": rivals[best]},
        intervals=found["intervals"],
        models=patient.get("models"),
        peers=patient.get("peers"),
        seed=found["seed"],
        fingerprint=found["fingerprint"],
        data=found["data"],
        chosen=found["chosen"],
        best=best,
        weights=found["settings"][found["chosen"]],
        choosing_s=found["choosing_s"],
        seconds={"automatic": found["wall_s"], "patient": patient.get("wall_s")},
    )


def _by_hand(
    args: argparse.Namespace, protocol: ModuleType, asked: list[str], metric: str
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return what each model and peer reached with the flags of ``--by-hand``, and all of it."""
    try:
        return {"a run before": float(args.by_hand)}, {}
    except ValueError:
        flags = [*shlex.split(args.by_hand), *(["--peers", args.peers] * bool(args.peers))]
    patient = protocol.main([*asked, *flags])
    rows = patient["models"] | patient["peers"]
    return {name: row[metric] for name, row in rows.items()}, patient


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

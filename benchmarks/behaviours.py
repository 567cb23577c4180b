"""Several behaviours: foresee what is bought from what was collected, put into carts and bought.

Column `event` says what each row is, column `split` which rows are held out (see `fixed_split`
where something is missing). Asked is for events of the target kind alone. What a shopper has
bought is excluded; what they only collected is not: they may buy it yet, and often do. Every
model of the line-up takes part twice: `NAME (buy)` hears the target kind alone, `NAME` hears all
kinds alike; `behaviours` tells them apart. Settings and the blend are chosen on valid alone.
`over_single` is the NDCG of the chosen system over that of the best model that hears the target
kind alone, which is chosen on valid as well.

    python -m benchmarks behaviours                                 (Tmall, target buy)
    python -m benchmarks behaviours --data DIR --target cart --budget 20m
"""

import argparse
from dataclasses import replace
from typing import Any, Final

from benchmarks import data, report, study
from benchmarks.data import Folder
from benchmarks.fixed_split import labelled
from endcap.evaluate.folder import EVENTS
from endcap.evaluate.lineup import Entrant, Profile, line_up
from endcap.models import specs
from endcap.models.weighting import HistorySpec
from endcap.prepare.split import Fixed

PUBLISHED: Final = {
    "MuLE (with views)": {"hit@10": 0.211, "ndcg@10": 0.118},
    "MB-HGCN (with views)": {"hit@10": 0.144, "ndcg@10": 0.077},
    "LightGCN (buys alone)": {"hit@10": 0.039, "ndcg@10": 0.021},
}
"""Figures of the papers for Tmall. They saw views, which the folder does not hold."""
QUICK: Final = ("popular", "item-knn", "ease", "behaviours")


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Tmall."""
    parser = study.parser(__doc__)
    parser.add_argument("--target", default="buy", help="the event to foresee, as the data has it")
    args = parser.parse_args(argv)
    source = data.load(data.find(args.data, "tmall"))
    target = EVENTS.get(args.target, args.target)
    labels, note = labelled(source, args.seed)
    rule = Fixed.model_validate({"labels": labels, "refit": True})
    test = rule.apply(source.data).foreseeing(target)
    ks = tuple(args.k or (10,))
    found = study.study(
        args,
        source,
        test,
        test.validation(),
        ks,
        rivals=rivals(args, source, target),
    )
    note += f"; only what was taken by {target} is excluded"
    return found | against_single(found, target, ks[0]) | {"protocol": found["protocol"] + note}


def rivals(args: argparse.Namespace, source: Folder, target: str) -> dict[str, Entrant]:
    """Return the line-up, and before it the same models hearing the target kind alone.

    Where the choice alone is judged they are left out: training does not know them.
    """
    profile = Profile.of(source.data, ordered=source.ordered, clocked=source.clocked)
    found = line_up(profile, keep_seen=args.keep_seen, target=target)
    asked = QUICK if args.quick else tuple(found)
    if args.models:
        asked = ("popular", *report.names(args.models))
    merged = {name: found.get(name, Entrant(name)) for name in asked if name in found}
    if args.quick:
        merged = {name: study.first_settings(entrant) for name, entrant in merged.items()}
    alone = {
        single(name, target): replace(entrant, fixed={**entrant.fixed, "kinds": (target,)})
        for name, entrant in merged.items()
        if name != "behaviours" and isinstance(specs.make(entrant.plugin), HistorySpec)
    }
    return merged if args.only_chosen else {**alone, **merged}


def single(name: str, target: str) -> str:
    """Return the name of a model that hears the target kind alone."""
    return f"{name} ({target})"


def against_single(found: dict[str, Any], target: str, k: int) -> dict[str, Any]:
    """Return, and print, how far the chosen system is above the best model of one kind."""
    alone = [name for name in found["validation"] if name.endswith(single("", target))]
    if not alone:
        return {}
    best = max(alone, key=lambda name: found["validation"][name])
    ours, theirs = (figures[f"ndcg@{k}"] for figures in (found["figures"], found["models"][best]))
    ratio = ours / theirs if theirs else None
    print(f"{found['chosen']}: ndcg@{k} {ours:.4f}, {best}: {theirs:.4f}, ratio {ratio or 0:.2f}")
    if found["data"] == "tmall":
        for name, figures in PUBLISHED.items():
            print(f"published: {name}: {figures}")
    return {"best_single": best, "over_single": ratio, "published": PUBLISHED}

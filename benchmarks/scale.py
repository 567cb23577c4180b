"""Time and memory at three sizes of a synthetic shop: iALS, item-kNN, the best 20 for everybody.

200,000 users x 50,000 items x 10 million interactions with 64 factors, a quarter and a sixteenth of
that (``--quick``: a 256th alone), each system in a process of its own with the same threads.

    python -m benchmarks scale --peers implicit,irspack --plot scale.png
    python -m benchmarks scale --items 200000            (the memory of local-ridge)
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import matplotlib
import numpy as np

from benchmarks import report
from benchmarks.peers.installing import place
from benchmarks.scale_data import Shop, shop
from endcap.evaluate.meter import Meter
from endcap.schema.errors import PluginError

USERS, ITEMS, INTERACTIONS = 200_000, 50_000, 10_000_000
SIZES: Final = (1 / 16, 1 / 4, 1.0)
QUICK: Final = (1 / 256,)
HERE = Path(__file__).parent
OURS = HERE / "scale_running.py"
THEIRS = HERE / "peers" / "scale_running.py"
TASKS: Final = {
    "ials": ("implicit", "irspack"),
    "item-knn": ("implicit",),
    "top-20": ("implicit",),
}
"""Task -> who can do it beside us. ``top-20`` answers from the factors that our ``ials`` left;
we fold everybody's history in once more, implicit takes the users' factors as they are."""
PEERS: Final = ("implicit", "irspack")
REACHED = 0.995
"""iALS is timed to this share of the best NDCG@20 that both of a pair reach."""
TARGETS: Final = {
    ("ials", "implicit"): 0.5,
    ("ials", "irspack"): 1.0,
    ("item-knn", "implicit"): 0.5,
    ("top-20", "implicit"): 0.5,
}


def main(argv: list[str]) -> dict[str, Any]:
    """Measure, print times, ratios and slopes, and draw them."""
    args = _parser().parse_args(argv)
    peers = report.peers(args.peers, PEERS)
    with Meter() as meter, tempfile.TemporaryDirectory() as scratch:
        if args.items:
            sizes = {args.items / ITEMS: {"local-ridge": ["endcap"]}}
        else:
            who = {
                task: ["endcap", *(p for p in peers if p in able)]
                for task, able in TASKS.items()
                if task in (report.names(args.tasks) or TASKS)
            }
            sizes = dict.fromkeys(QUICK if args.quick else SIZES[: args.largest], who)
        found = {size: _at(size, who, args, Path(scratch)) for size, who in sizes.items()}
    marks = {size: named.pop("shop")["fingerprint"] for size, named in found.items()}
    rows = {f"{s:g} {name}": row for s, named in found.items() for name, row in named.items()}
    columns = ("wall_s", "cpu_s", "peak_mb")
    table = {name: {key: row[key] for key in columns} for name, row in rows.items()}
    report.show(f"{args.threads} threads", table)
    ratios = {f"{s:g}": _ratios(named, peers) for s, named in found.items()}
    for size, named in ratios.items():
        for name, ratio in named.items():
            print(f"{size} {name}: {ratio:.2f}")
    slopes = _slopes(found)
    print("growth with the interactions, exponent of time:", slopes)
    if args.plot:
        _plot(found, args.plot)
    largest = found[max(found)]
    return report.outcome(
        meter,
        protocol="synthetic power-law shop with latent groups (benchmarks/scale_data.py), "
        f"{args.threads} threads, one process each; iALS with 64 factors to {REACHED:g} of the "
        "lower of the two best NDCG@20 on a fifth held back of 5,000 users, evaluation not "
        "counted; item-kNN with 100 neighbours under BM25; compiling is not counted",
        figures=ratios[f"{max(found):g}"],
        models={k: v for k, v in largest.items() if "endcap" in k},
        peers={k: v for k, v in largest.items() if "endcap" not in k},
        seed=args.seed,
        fingerprint=marks[max(found)],
        fingerprints={f"{size:g}": mark for size, mark in marks.items()},
        slopes=slopes,
        sizes=rows,
        ratios=ratios,
        targets={f"{task} {peer}": most for (task, peer), most in TARGETS.items()},
    )


def _parser() -> Any:
    out = report.parser(__doc__)
    out.add_argument("--plot", type=Path, help="draw times against sizes here (PNG)")
    out.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    out.add_argument("--tasks", default="", help="only some: a,b; top-20 needs ials before it")
    out.add_argument("--items", type=int, default=0, help="fit local-ridge on so many items only")
    out.add_argument("--largest", type=int, default=3, choices=(1, 2, 3), help="so many sizes only")
    return out


def _at(size: float, who: dict[str, list[str]], args: Any, scratch: Path) -> dict[str, Any]:
    """Return {task and system: figures} at one size."""
    users, interactions = (n if args.items else round(size * n) for n in (USERS, INTERACTIONS))
    counts = users, round(size * ITEMS), interactions
    report.say(f"{counts[0]:,} users x {counts[1]:,} items x {counts[2]:,} interactions")
    drawn = shop(*counts, args.seed)
    _write(scratch / "shop.npz", drawn)
    found: dict[str, Any] = {"shop": {"fingerprint": fingerprint(drawn)}}
    for task, systems in who.items():
        for system in systems:
            row = _run(task, system, args, scratch)
            found[f"{task} {system}"] = row
            report.say(f"{task} {system}: {row}")
    return found


def fingerprint(drawn: Shop) -> str:
    """Return a name for what was drawn: it tells whether two runs saw the same shop."""
    digest = hashlib.sha256()
    for part in (drawn.train.indptr, drawn.train.indices, drawn.held.indptr, drawn.held.indices):
        digest.update(np.ascontiguousarray(part, np.int64))
    return digest.hexdigest()[:16]


def _write(path: Path, drawn: Shop) -> None:
    np.savez(
        path,
        shape=drawn.train.shape,
        indptr=drawn.train.indptr.astype(np.int32),
        indices=drawn.train.indices.astype(np.int32),
        asked=drawn.asked,
        held_indptr=drawn.held.indptr.astype(np.int32),
        held=drawn.held.indices.astype(np.int32),
    )


def _run(task: str, system: str, args: Any, scratch: Path) -> dict[str, Any]:
    ours = system == "endcap"  # everybody has threads of their own around a BLAS of one
    python = Path(sys.executable) if ours else place("main") / "bin" / "python"
    if not python.exists():
        raise PluginError(f"{system} is not installed.", hint="Run `make bench-peers`.")
    threads = {"OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": str(args.threads)}
    words = [str(python), str(OURS if ours else THEIRS), task, system, str(scratch)]
    done = subprocess.run(
        [*words, str(args.threads), str(args.seed)],
        env=os.environ | threads,
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PluginError(f"{task} {system} failed: {(done.stderr.splitlines() or ['?'])[-1]}")
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def _ratios(named: dict[str, Any], peers: list[str]) -> dict[str, float]:
    """Return our time and memory over each peer's."""
    out = {}
    for task, peer in TARGETS:
        if peer not in peers or f"{task} endcap" not in named:
            continue
        ours, theirs = named[f"{task} endcap"], named[f"{task} {peer}"]
        if task == "ials":
            goal = REACHED * min(max(ours["ndcg@20"]), max(theirs["ndcg@20"]))
            seconds = [_reaching(row, goal) for row in (ours, theirs)]
        else:
            seconds = [ours["wall_s"], theirs["wall_s"]]
        out[f"{task} time / {peer}"] = seconds[0] / seconds[1]
        out[f"{task} memory / {peer}"] = ours["peak_mb"] / theirs["peak_mb"]
    return out


def _reaching(row: dict[str, Any], goal: float) -> float:
    """Return the seconds of fitting after which NDCG first reached `goal`."""
    epoch = next(n for n, value in enumerate(row["ndcg@20"]) if value >= goal)
    return float(row["at_s"][epoch])


def _slopes(found: dict[float, dict[str, Any]]) -> dict[str, float]:
    """Return the exponent of wall time in the size, by task and system."""
    if len(found) < 2:
        return {}
    sizes = np.log(list(found))
    out = {}
    for name in next(iter(found.values())):
        seconds = np.log([named[name]["wall_s"] for named in found.values()])
        out[name] = round(float(np.polyfit(sizes, seconds, 1)[0]), 2)
    return out


def _plot(found: dict[float, dict[str, Any]], path: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    sizes = [size * INTERACTIONS for size in found]
    for axis, key, label in zip(
        axes, ("wall_s", "peak_mb"), ("seconds", "MB at most"), strict=True
    ):
        for name in next(iter(found.values())):
            style = "o-" if name.endswith("endcap") else "x--"
            axis.loglog(sizes, [found[s][name][key] for s in found], style, label=name)
        axis.set(xlabel="interactions", ylabel=label)
        axis.grid(visible=True, which="both", alpha=0.3)
    axes[0].legend(fontsize="small")
    figure.savefig(path, dpi=130)
    plt.close(figure)
    report.say(f"plot: {path}")

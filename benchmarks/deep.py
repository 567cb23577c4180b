"""The sequence model alone: how good it is, and its real tokens a second beside peers.

Leave-one-out as in `leave_one_out`, fitted on train alone, once; the same model is asked about the
validation items (on which its settings were chosen) and about the test. A real token is an event
that is foreseen in training, padding left out; all libraries are timed in the same run, on the same
training sequences, with the same width, layers, heads, length and number of threads.

    python -m benchmarks deep                                    (Amazon Beauty)
    python -m benchmarks deep --data DIR --peers recbole,rectools
    python -m benchmarks deep --set epochs=2 --set layers=2
"""

import json
import subprocess
import tempfile
from pathlib import Path
from time import process_time
from typing import Any

import numba
import numpy as np

from benchmarks import data, leave_one_out, report
from benchmarks.peers.installing import place
from endcap.evaluate.comparing import answer
from endcap.evaluate.exam import Exam
from endcap.evaluate.judging import judge
from endcap.evaluate.meter import Meter
from endcap.models.sasrec import SASRec
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import Fixed
from endcap.schema.errors import ConfigError

RUNNER = Path(__file__).parent / "peers" / "deep_running.py"
PEERS = ("recbole", "rectools")
TIMED_S = 40
"""Seconds for which a peer trains; it is not trained to the end."""
BOUNDED = {"epochs": 2, "held_out": 0, "width": 32}
"""Settings of a quick look."""


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Amazon Beauty."""
    parser = report.parser(__doc__)
    parser.add_argument("--set", action="append", default=[], help="a setting: epochs=2 (repeat)")
    args = parser.parse_args(argv)
    names, settings = report.peers(args.peers, PEERS), _settings(args.set)
    spec = SASRec.parse((BOUNDED if args.quick else {}) | settings)
    source = data.load(data.find(args.data, "beauty"))
    rule = Fixed.model_validate({"labels": leave_one_out.labels_of(source), "refit": False})
    test = rule.apply(source.data)
    most = 500 if args.quick else None
    exams = {
        name: Exam.of(split, max_users=most, seed=args.seed)
        for name, split in (("validation", test.validation()), ("test", test))
    }
    with Meter() as meter:
        model, ours = _train(spec, test.train, args.seed)
        for name, exam in exams.items():
            lists, cost = answer(model, exam, 10)
            result = judge("sasrec", lists, exam, (10,), cost=cost)
            ours |= {f"{name}_{key}": result.figures[key] for key in ("ndcg@10", "recall@10")}
        peers, absent = _peers(names, spec, test.train, args.seed, quick=args.quick)
    report.show("sasrec", {"sasrec": ours, **peers})
    for name, reason in absent.items():
        print(f"left out: {name}: {reason}")
    for name, row in peers.items():
        ours[f"times_{name}"] = ours["tokens_per_cpu_s"] / row["tokens_per_cpu_s"]
        print(f"real tokens a CPU second: {ours[f'times_{name}']:.1f} x {name}'s")
    return report.outcome(
        meter,
        protocol=f"{test.protocol}; full ranking, seen items excluded; settings chosen on "
        f"validation; peers timed for {TIMED_S} s; {numba.get_num_threads()} threads",
        figures=ours,
        intervals={key: list(value) for key, value in result.intervals.items()},
        peers=peers,
        seed=args.seed,
        fingerprint=source.data.fingerprint,
        data=source.name,
        settings=spec.model_dump(mode="json"),
        skipped=absent,
    )


def _settings(given: list[str]) -> dict[str, Any]:
    found = {}
    for pair in given:
        key, sign, value = pair.partition("=")
        if not sign:
            raise ConfigError(f"--set {pair!r} has no value.", hint="Write it as epochs=2.")
        found[key] = json.loads(value)
    return found


def _train(spec: SASRec, train: Dataset, seed: int) -> tuple[Any, dict[str, float]]:
    def tell(done: int, total: int, note: str = "") -> None:
        report.say(f"epoch {done} of {total}: {note} after {process_time() - start:.0f} CPU s")

    start = process_time()
    with Meter() as meter:
        model = spec.fit(train, rng=seed, progress=tell)
    return model, {
        "epochs": float(model.epochs),
        "fit_s": meter.wall_s,
        "fit_cpu_s": meter.cpu_s,
        "tokens_per_s": model.foreseen / meter.wall_s,
        "tokens_per_cpu_s": model.foreseen / meter.cpu_s,
        "peak_mb": meter.peak_mb,
    }


def _peers(
    names: list[str], spec: SASRec, train: Dataset, seed: int, *, quick: bool
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Return tokens a second by library, and why others are missing."""
    found: dict[str, dict[str, float]] = {}
    absent: dict[str, str] = {}
    sequences = train.sequences()
    asked = spec.model_dump(include={"width", "layers", "heads", "max_events", "dropout"})
    asked |= {"seed": seed, "seconds": 5 if quick else TIMED_S, "n_items": len(train.items)}
    with tempfile.TemporaryDirectory() as temporary:
        given = Path(temporary) / "given.npz"
        np.savez(given, indptr=sequences.indptr, items=sequences.items)
        for name in names:
            python = place(name) / "bin" / "python"
            if not python.exists():
                absent[name] = f"install it: python -m benchmarks.peers.installing {name}"
                continue
            report.say(f"{name}: training for {asked['seconds']} s")
            done = subprocess.run(
                [str(python), str(RUNNER), name, str(given), json.dumps(asked)],
                capture_output=True, text=True, check=False, cwd=temporary,
            )  # fmt: skip
            if done.returncode:
                absent[name] = (done.stderr.strip().splitlines() or ["It failed."])[-1]
            else:
                found[name] = json.loads(done.stdout.strip().splitlines()[-1])
    return found, absent

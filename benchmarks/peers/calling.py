"""Hand a split to another library's process and take ranked lists back."""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import report
from endcap.evaluate.exam import Exam
from endcap.evaluate.judging import Cost, Result, judge
from endcap.models.candidates import Candidates
from endcap.schema.errors import PluginError, nearest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".bench-venv" / "bin" / "python"
RUNNER = Path(__file__).with_name("running.py")
PEERS = {
    "implicit": ("implicit-als", "implicit-bm25"),
    "irspack": ("irspack-ials", "irspack-rp3beta", "irspack-slim"),
    "lenskit": ("lenskit-itemknn",),
    "rectools": ("rectools-ease",),
}
"""The models of each library that take part."""


def ask_peers(
    args: argparse.Namespace, exam: Exam, trial: Exam, ks: tuple[int, ...]
) -> tuple[list[Result], dict[str, str]]:
    """Return the marks of the libraries named in ``--peers``, and why others are missing.

    Each model chooses its settings on the validation split by itself, as ours do.
    """
    models = [model for name in _named(args.peers) for model in PEERS[name]]
    if not models:
        return [], {}
    if not PYTHON.exists():
        return [], dict.fromkeys(models, "no .bench-venv: run `make bench-peers`")
    results: list[Result] = []
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _write(folder / "test.npz", exam)
        _write(folder / "valid.npz", trial)
        for model in models:
            flags = ["--quick"] if args.quick else []
            command = [str(PYTHON), str(RUNNER), model, str(folder), str(max(ks)), *flags]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                absent[model] = (done.stderr.strip().splitlines() or ["failed"])[-1]
                continue
            results.append(_read(folder, model, exam, ks))
            report.say(f"{model}: {json.dumps(results[-1].settings)}")
    return results, absent


def _named(peers: str) -> list[str]:
    names = list(PEERS) if peers == "all" else [name.strip() for name in peers.split(",") if name]
    for name in names:
        if name not in PEERS:
            raise PluginError(f"There is no peer {name!r}.", hint=nearest(name, PEERS))
    return names


def _write(path: Path, exam: Exam) -> None:
    """What is fitted on, what is asked, and the answers (for choosing settings)."""
    train = exam.split.train.matrix(None)
    past = exam.history
    np.savez(
        path,
        shape=np.array(train.shape),
        train_indptr=train.indptr,
        train_items=train.indices,
        users=exam.queries.users,
        past_indptr=past.indptr,
        past_items=past.indices,
        target_indptr=exam.targets.indptr,
        targets=exam.targets.items,
        exclude_seen=np.array(exam.exclude_seen),
        seed=np.array(exam.seed),
    )


def _read(folder: Path, model: str, exam: Exam, ks: tuple[int, ...]) -> Result:
    lists = np.load(folder / f"{model}.npz")
    told = json.loads((folder / f"{model}.json").read_text(encoding="utf-8"))
    items = lists["items"]
    ranked = Candidates(
        lists["indptr"],
        items,
        np.full(len(items), np.nan, np.float32),
        np.zeros(len(items), np.uint8),
    )
    return judge(model, ranked, exam, ks, cost=Cost(**told["cost"]), settings=told["settings"])

"""Hand a split to another library's process and take ranked lists back."""

import argparse
import json
import signal
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.peers.installing import place
from endcap.evaluate.exam import Exam
from endcap.evaluate.judging import Cost, Result, judge
from endcap.models.candidates import Candidates
from endcap.schema.errors import PluginError
from endcap.schema.spans import seconds

RUNNER = Path(__file__).with_name("running.py")
MODELS = {
    "implicit": ("implicit-als", "implicit-bm25"),
    "irspack": ("irspack-ials", "irspack-rp3beta", "irspack-slim", "irspack-dense-slim"),
    "lenskit": ("lenskit-item-knn",),
    "rectools": ("rectools-ease",),
}
"""The models of each library that take part."""
OWN_PLACE = ("lenskit", "rectools")
KILLED = {-signal.SIGXCPU, -signal.SIGKILL}
"""How a peer ends that takes too long, or too much memory."""


def ask_peers(
    args: argparse.Namespace, exam: Exam, trial: Exam, ks: tuple[int, ...]
) -> tuple[list[Result], dict[str, str]]:
    """Return the marks of the libraries named in ``--peers``, and why others are missing.

    Each model chooses its settings on the validation split by itself, as ours do, within
    ``--peer-budget``: each has as long for itself.
    """
    results: list[Result] = []
    absent: dict[str, str] = {}
    names = _named(args.peers)
    limit = float("inf") if args.peer_budget is None else seconds(args.peer_budget)
    if not names:
        return results, absent
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write(folder / "test.npz", exam)
        _write(folder / "valid.npz", trial)
        for name in names:
            for model in MODELS[name]:
                try:
                    results.append(_ask(name, model, folder, exam, ks, limit, quick=args.quick))
                except PluginError as error:
                    absent[model] = str(error)
    return results, absent


def _named(peers: str) -> list[str]:
    return report.peers(peers, MODELS)


def _ask(
    name: str,
    model: str,
    folder: Path,
    exam: Exam,
    ks: tuple[int, ...],
    limit: float,
    *,
    quick: bool,
) -> Result:
    where = name if name in OWN_PLACE else "main"
    python = place(where) / "bin" / "python"
    if not python.exists():
        raise PluginError(
            f"{name} is not installed.",
            hint=f"Run `python -m benchmarks.peers.installing {where}`.",
        )
    command = [str(python), str(RUNNER), model, str(folder), str(ks[0]), str(max(ks)), str(limit)]
    done = subprocess.run(
        command + ["--quick"] * quick, capture_output=True, text=True, check=False
    )
    if done.returncode in KILLED:
        raise PluginError(f"{model} had no answer in its time.")
    if done.returncode:
        raise PluginError((done.stderr.strip().splitlines() or ["It failed."])[-1])
    result = _read(folder, model, exam, ks)
    report.say(f"{model}: {json.dumps(result.settings)}")
    return result


def _write(path: Path, exam: Exam) -> None:
    """What is fitted on, what is asked, and the answers (for choosing settings)."""
    train = exam.split.train.matrix(None)
    np.savez(
        path,
        shape=np.array(train.shape),
        train_indptr=train.indptr,
        train_items=train.indices,
        past_indptr=exam.history.indptr,
        past_items=exam.history.indices,
        warm=exam.warm,
        target_indptr=exam.targets.indptr,
        targets=exam.targets.items,
        exclude_seen=np.array(exam.exclude_seen),
        seed=np.array(exam.seed),
    )


def _read(folder: Path, model: str, exam: Exam, ks: tuple[int, ...]) -> Result:
    told = json.loads((folder / f"{model}.json").read_text(encoding="utf-8"))
    with np.load(folder / f"{model}.npz", allow_pickle=False) as lists:
        indptr, items = lists["indptr"], lists["items"]
    unknown = np.full(len(items), np.nan, np.float32)
    ranked = Candidates(indptr, items, unknown, np.zeros(len(items), np.uint8))
    return judge(model, ranked, exam, ks, cost=Cost(**told["cost"]), settings=told["settings"])

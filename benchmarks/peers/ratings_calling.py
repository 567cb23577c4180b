"""Hand folds of ratings to another library's process and take predictions back."""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.peers.installing import place
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import PluginError

RUNNER = Path(__file__).with_name("ratings_running.py")
MODELS = {"surprise": ("surprise-svd", "surprise-svdpp"), "lenskit": ("lenskit-biased-mf",)}
PLACES = {"surprise": "main", "lenskit": "lenskit"}
Found = tuple[list[np.ndarray], float]


def ask_peers(
    peers: str, source: Dataset, tests: list[np.ndarray]
) -> tuple[dict[str, Found], dict[str, str]]:
    """Return (predictions by fold, CPU seconds a fold) by model, and why others are missing."""
    found: dict[str, Found] = {}
    absent: dict[str, str] = {}
    for name in report.peers(peers, MODELS):
        python = place(PLACES[name]) / "bin" / "python"
        for model in MODELS[name]:
            if python.exists():
                found[model] = _ask(python, model, source, tests)
            else:
                absent[model] = f"install it: python -m benchmarks.peers.installing {PLACES[name]}"
    return found, absent


def _ask(python: Path, model: str, source: Dataset, tests: list[np.ndarray]) -> Found:
    with tempfile.TemporaryDirectory() as temporary:
        given, taken = Path(temporary) / "given.npz", Path(temporary) / "taken.npz"
        columns = {name: source.column(name) for name in ("user", "item", "value")}
        np.savez(given, tests=np.stack(tests), **columns)
        done = subprocess.run(
            [str(python), str(RUNNER), model, str(given), str(taken)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise PluginError(f"{model} failed: {done.stderr.strip().splitlines()[-1:]}")
        cpu_s = float(json.loads(done.stdout.splitlines()[-1])["cpu_s"])
        with np.load(taken) as stored:
            return [stored[f"fold{n}"] for n in range(len(tests))], cpu_s

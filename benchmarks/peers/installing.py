"""Install the libraries to compare with: ``python -m benchmarks.peers.installing [LIST …]``.

Lists are main (the default), rectools, lenskit and recbole. Each goes into an environment of its
own, because what they need fits neither together nor with Endcap.
"""

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
HOME = HERE.parents[1] / ".bench-venv"
LISTS = {"main": "", "rectools": "-rectools", "lenskit": "-lenskit", "recbole": "-recbole"}


def place(name: str) -> Path:
    """Return the environment of a list: ``.bench-venv`` for main, else a folder in it."""
    return HOME if name == "main" else HOME / name


def install(names: Sequence[str]) -> None:
    """Make the environments that are missing and install into them."""
    for name in names:
        folder = place(name)
        if not (folder / "bin" / "python").exists():
            venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        wanted = HERE / f"requirements{LISTS[name]}.txt"
        subprocess.run([*pip, "-r", str(wanted)], check=True)
        print(f"{name}: {folder}")


if __name__ == "__main__":
    install(sys.argv[1:] or ["main"])

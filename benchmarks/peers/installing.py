"""Install the libraries to compare with: ``python -m benchmarks.peers.installing [main …]``.

Each list of ``requirements/`` goes into an environment of its own below ``.bench-venv``, because
what they need does not fit together, nor with Endcap.
"""

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

LISTS = Path(__file__).with_name("requirements")
HOME = Path(__file__).parents[2] / ".bench-venv"


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
        subprocess.run([*pip, "-r", str(LISTS / f"{name}.txt")], check=True)
        print(f"{name}: {folder}")


if __name__ == "__main__":
    install(sys.argv[1:] or sorted(path.stem for path in LISTS.glob("*.txt")))

"""Find the data that benchmarks run on; `endcap.evaluate.folder` reads it."""

import os
from pathlib import Path

from endcap.evaluate.folder import INTERACTIONS_FILE, Folder, load
from endcap.schema.errors import DataError, nearest

__all__ = ["Folder", "find", "load"]


def find(given: Path | None, default: str, file: str = INTERACTIONS_FILE) -> Path:
    """Return the data folder: the one given, else `default` below ``ENDCAP_DATA``.

    Raises
    ------
    DataError
        When it holds no `file`; the nearest folder that does is named.
    """
    root = Path(os.environ.get("ENDCAP_DATA", "../shared/data"))
    path = given if given is not None else root / default
    if not (path / file).is_file():
        beside = [p.parent.name for p in path.parent.glob(f"*/{file}")]
        hint = nearest(path.name, beside) if beside else "Name one with --data, or set ENDCAP_DATA."
        raise DataError(f"{path} holds no {file}.", hint=hint)
    return path

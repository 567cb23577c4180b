"""What all benchmarks share: their flags, their meter, and the JSON object they end with."""

import argparse
import importlib.metadata
import math
import platform
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from endcap.evaluate.meter import Meter
from endcap.schema.errors import PluginError, nearest

PACKAGES = (
    "endcap",
    "numpy",
    "scipy",
    "numba",
    "pyarrow",
    "duckdb",
    "ibis-framework",
    "sqlalchemy",
)


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the flags every benchmark knows; add your own to it."""
    out = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("--data", type=Path, help="a folder with interactions.parquet")
    out.add_argument("--peers", default="", help="libraries to compare with: a,b or all")
    out.add_argument("--quick", action="store_true", help="a few seconds: less data, fewer models")
    out.add_argument("--seed", type=int, default=0)
    return out


def names(given: str) -> list[str]:
    """Return the names in ``a,b``."""
    return [name.strip() for name in given.split(",") if name.strip()]


def peers(given: str, known: Collection[str]) -> list[str]:
    """Return the peers that ``--peers`` names, all of `known` for ``all``.

    Raises
    ------
    PluginError
        For a name that is not known (with the nearest).
    """
    asked = names(given)
    for name in asked:
        if name not in {*known, "all"}:
            raise PluginError(f"There is no peer {name!r}.", hint=nearest(name, known))
    return list(known) if "all" in asked else asked


def outcome(
    meter: Meter,
    *,
    protocol: str,
    figures: Mapping[str, Any],
    intervals: Mapping[str, Any] | None = None,
    models: Mapping[str, Any] | None = None,
    peers: Mapping[str, Any] | None = None,
    seed: int = 0,
    fingerprint: str = "",
    **more: Any,
) -> dict[str, Any]:
    """Return the object that a benchmark ends with; numbers that are not finite become null.

    Parameters
    ----------
    meter
        A finished `Meter` around the work.
    protocol
        What was done, in a sentence exact enough to do it again.
    figures, intervals
        Of the chosen system: ``recall@10``, ``rmse``, ``fit_cpu_s``, ``events_per_s``, …
    models, peers
        Figures by name, of our models and of other libraries.
    seed, fingerprint
        Of all that is random, and of the data.
    more
        Anything else worth keeping.
    """
    plain: dict[str, Any] = {
        "figures": dict(figures),
        "intervals": dict(intervals or {}),
        "models": dict(models or {}),
        "peers": dict(peers or {}),
        "protocol": protocol,
        "seed": seed,
        "fingerprint": fingerprint,
        "cpu_s": round(meter.cpu_s, 3),
        "wall_s": round(meter.wall_s, 3),
        "peak_mb": round(meter.peak_mb, 1),
        "versions": versions(),
        **more,
    }
    cleaned: dict[str, Any] = finite(plain)
    return cleaned


def finite(value: Any) -> Any:
    """Return plain JSON values: NumPy numbers as Python's, what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def versions() -> dict[str, str]:
    """Return the versions of Python, the machine and the libraries that make a figure."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def show(title: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Print a table on stdout: one line for each row, one column for each key."""
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    table = Table(title=title)
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(name, *(_cell(row.get(column)) for column in columns))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def say(text: str) -> None:
    """Tell a person how far it is, on stderr."""
    print(text, file=sys.stderr, flush=True)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)

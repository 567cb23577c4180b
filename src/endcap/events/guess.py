"""Find the files of a path, and the dialect of a file."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol, runtime_checkable

from endcap import plugins
from endcap.events.dialects.base import Dialect
from endcap.events.reading import Source
from endcap.schema.errors import DataError

GROUP: Final = "endcap.dialects"
SURE_ENOUGH: Final = 0.3
"""Below this, a file is of no dialect."""


class Guess(NamedTuple):
    """A dialect and how surely it fits, from 0 to 1."""

    dialect: Dialect
    confidence: float


@runtime_checkable
class Renaming(Protocol):
    """A dialect whose columns a shop may name as it likes.

    Stability: implementer (a dialect may have these two beside those of `Dialect`).
    """

    def naming(self, columns: Mapping[str, str]) -> Dialect:
        """Return the dialect, told what a shop's own columns mean: their name -> ours."""

    def unknown(self, source: Source) -> list[str]:
        """Return the columns of a file that have no field of their own."""


NO_COLUMNS: Final[Mapping[str, str]] = MappingProxyType({})


def dialect_named(name: str, columns: Mapping[str, str] = NO_COLUMNS) -> Dialect:
    """Return the dialect of that name, told what a shop's own columns mean where it can be.

    Raises
    ------
    PluginError
        When there is none, naming the nearest.
    ConfigError
        When a column is said to mean what no table has.
    """
    found: Dialect = plugins.load(GROUP, name)()
    return found.naming(columns) if columns and isinstance(found, Renaming) else found


def guess(source: Source, columns: Mapping[str, str] = NO_COLUMNS) -> Guess | None:
    """Return the dialect that fits best; None when none does."""
    if _is_binary(source):
        return None
    dialects = [dialect_named(name, columns) for name in plugins.names(GROUP)]
    guesses = [Guess(dialect, dialect.recognise(source)) for dialect in dialects]
    best = max(guesses, key=lambda g: g.confidence)
    return best if best.confidence >= SURE_ENOUGH else None


def files_of(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield each file once, in a fixed order, and whether it was named itself.

    Raises
    ------
    DataError
        When a path does not exist.
    """
    seen = set()
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist.", hint="Check the spelling of the path.")
        inside = path.is_dir()
        files = sorted(p for p in path.rglob("*") if p.is_file()) if inside else [path]
        for file in files:
            hidden = inside and any(part.startswith(".") for part in file.relative_to(path).parts)
            if not hidden and file.resolve() not in seen:
                seen.add(file.resolve())
                yield file, not inside


def _is_binary(source: Source) -> bool:
    """Tell pictures and archives by their zero bytes; Parquet and UTF-16 have them by right."""
    head = source.head[:4096]
    return b"\0" in head and not source.is_parquet and "utf-16" not in source.encoding

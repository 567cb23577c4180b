"""What the places of a shop do, as people change it while it runs: versions, history, undo.

The store keeps each version as a document. Whoever answers asks `Places.changed`, which looks at
a number in shared memory; it moves once a version is durable, so every process on the machine sees
the change with its next request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import structlog

from endcap.events.store import Documents, Written
from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.expression import understood
from endcap.recommend.recipe import HOME, Level, Placement, Recipe, check_placements
from endcap.recommend.stamp import Stamp
from endcap.schema.errors import EndcapError, RequestError, nearest

PREFIX: Final = "placement/"
STAMP: Final = "placements.stamp"
Origin = Literal["recipe", "edited"]
log = structlog.get_logger(__name__)


class UneditedError(RequestError):
    """There is nothing to take back."""

    code = "unedited"


@dataclass(frozen=True, slots=True)
class Place:
    """What a place does now, and since when.

    Attributes
    ----------
    origin
        Whether it is as the recipe has it, or as somebody edited it.
    version
        Of its history in the store; 0 where nobody ever edited it.
    """

    name: str
    placement: Placement
    origin: Origin
    version: int


class Places:
    """The edited placements of a store; safe to share between threads and processes.

    Parameters
    ----------
    documents
        Where versions are kept.
    folder
        The shop's folder, in which a file says that something changed.

    Stability: caller.
    """

    def __init__(self, documents: Documents, folder: Path) -> None:
        self._documents = documents
        self._stamp = Stamp(folder / STAMP)
        self._seen: int | None = None

    def changed(self) -> bool:
        """Return whether a process on this machine changed something since this was last asked."""
        now = self._stamp.read()
        changed, self._seen = now != self._seen, now
        return changed

    def stale(self) -> bool:
        """Return what `changed` would, and let it still say so."""
        return self._stamp.read() != self._seen

    def latest(self) -> dict[str, Written]:
        """Return the last version of each place that was ever edited."""
        found = self._documents.latest(PREFIX)
        return {name.removeprefix(PREFIX): written for name, written in found.items()}

    def edited(self) -> dict[str, Placement]:
        """Return the placements in force; one that this version cannot read is passed over."""
        out = {}
        for name, written in self.latest().items():
            if written.body is not None:
                try:
                    out[name] = parse(name, msgspec.json.decode(written.body))
                except (EndcapError, ValueError) as error:
                    log.error("placement cannot be read", placement=name, error=str(error))
        return out

    def all(self, recipe: Recipe) -> dict[str, Place]:
        """Return every place of the shop: those of the recipe, and what was edited."""
        latest, edited = self.latest(), self.edited()
        return {
            name: Place(
                name,
                placement,
                "edited" if name in edited else "recipe",
                latest[name].version if name in latest else 0,
            )
            for name, placement in sorted({**recipe.placements, **edited}.items())
        }

    def write(
        self,
        name: str,
        values: Mapping[str, Any],
        recipe: Recipe,
        columns: Columns,
        expected: int | None = None,
    ) -> Written:
        """Let a place do something else from now on; durable when this returns.

        Parameters
        ----------
        values
            The table ``[placements.NAME]`` of a recipe.
        recipe
            The one in use, whose models a placement may name.
        columns
            The catalogue, whose attributes conditions may name.
        expected
            The version that was read; None overwrites whatever is there.

        Raises
        ------
        ConfigError, FilterError
            Naming what is wrong, and the nearest right name.
        ConflictError
            When somebody else wrote meanwhile.
        """
        placement = parse(name, values)
        places = {**recipe.placements, **self.edited(), name: placement}
        check_placements(recipe.name, places, recipe.models)
        check_conditions(placement, columns)
        plain = placement.model_dump(mode="json", exclude_defaults=True)
        return self._write(name, msgspec.json.encode(plain).decode(), expected)

    def delete(self, name: str, recipe: Recipe, expected: int | None = None) -> Written:
        """Take back what was edited: the recipe's own does it again, or there is no such place.

        Raises
        ------
        UneditedError
            When nothing was edited.
        RequestError
            When another place hands over to it.
        ConflictError
            When somebody else wrote meanwhile.
        """
        edited = self.edited()
        if name not in edited:
            raise UneditedError(f"No placement {name!r} was edited.", hint=nearest(name, edited))
        left = {**recipe.placements, **{n: p for n, p in edited.items() if n != name}}
        needs = [n for n, p in left.items() if p.closed and p.closed.then == name]
        if needs and name not in left:
            raise RequestError(f"Placement {needs[0]!r} hands over to {name!r}.")
        return self._write(name, None, expected)

    def history(self, name: str) -> list[Written]:
        """Return all versions, newest first."""
        return self._documents.history(PREFIX + name)

    def undo(self, name: str, recipe: Recipe, columns: Columns) -> Written:
        """Write the version before the last one once more, as the newest.

        Raises
        ------
        UneditedError
            When there is nothing to undo.
        """
        versions = self.history(name)
        if not versions:
            raise UneditedError(
                f"Placement {name!r} was never edited.", hint=nearest(name, self.latest() or [HOME])
            )
        before = versions[1].body if len(versions) > 1 else None
        if before is None:
            return self._write(name, None, versions[0].version)
        return self.write(name, msgspec.json.decode(before), recipe, columns, versions[0].version)

    def _write(self, name: str, body: str | None, expected: int | None) -> Written:
        written = self._documents.write(PREFIX + name, body, expected)
        self.touch()
        log.info("placement changed", placement=name, version=written.version)
        return written

    def touch(self) -> None:
        """Have every process on this machine look again."""
        self._stamp.move()


def parse(name: str, values: Mapping[str, Any]) -> Placement:
    """Read the table of a placement.

    Raises
    ------
    ConfigError, FilterError
        Naming what is wrong, and the nearest right name.
    """
    return Placement.parse(values, where=f"placement {name!r}")


def check_conditions(placement: Placement, columns: Columns) -> None:
    """Refuse conditions about attributes that no item of the catalogue has.

    Raises
    ------
    FilterError
        Naming the nearest.
    """
    placement.rules.check(columns)
    places: tuple[Placement | Level, ...] = (placement, *placement.levels)
    for told in places:
        for expression in understood(told.filter, told.boost):
            if expression is not None:
                expression.check(columns)

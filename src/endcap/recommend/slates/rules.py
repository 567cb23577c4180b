"""Rules for slates as a merchandiser writes them: strict TOML."""

import math
import tomllib
from pathlib import Path
from typing import Final, Literal, Self

import pydantic

from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.expression import Expression
from endcap.recommend.filters.kinds import ATTRIBUTES, ITEM_FIELDS, Kind, split
from endcap.recommend.slates.objective import Objective
from endcap.recommend.slates.problem import UNBOUNDED, Method
from endcap.schema.errors import ConfigError, DataError, nearest
from endcap.schema.strict import Strict

DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000
_TEXTS: Final = frozenset({Kind.TEXT, Kind.TEXTS})
Likeness = Literal["words", "attributes"]
Share = pydantic.Field(default=None, ge=0, le=1)


class Pin(Strict):
    """An item in its place, or several that take turns in it.

    Attributes
    ----------
    item, items
        One of the two: which item; or those that take turns.
    hours
        How long each turn lasts; turns are counted from the epoch, alike for everybody.
    """

    item: str = ""
    items: tuple[str, ...] = ()
    position: int = pydantic.Field(ge=1)
    hours: float = pydantic.Field(default=24.0, gt=0)

    @pydantic.model_validator(mode="after")
    def _is_whole(self) -> Self:
        if bool(self.item) == bool(self.items) or not all(self.items):
            raise ConfigError(f"The pin at {self.position} needs either an item or items.")
        return self

    def at(self, now: int) -> "Pin":
        """Return the pin of the item whose turn it is at `now` (UTC microseconds)."""
        if not self.items:
            return self
        turn = int(now // (self.hours * HOUR_US)) % len(self.items)
        return Pin(item=self.items[turn], position=self.position)


class Quota(Strict):
    """How many of some items a slate holds.

    Attributes
    ----------
    where
        A condition: the items that are counted together (see `recommend.filters`).
    by
        Instead: a field of texts, each of whose values is counted for itself.
    min, max, min_share, max_share
        At least and at most, in items or as a share of the positions; `by` takes only upper ones.
    first
        Of how many positions, from the top; all by default.
    name
        For reports.
    """

    where: str = ""
    by: str = ""
    min: int = pydantic.Field(default=0, ge=0)
    max: int | None = pydantic.Field(default=None, ge=0)
    min_share: float | None = Share
    max_share: float | None = Share
    first: int | None = pydantic.Field(default=None, ge=1)
    name: str = ""

    @pydantic.model_validator(mode="after")
    def _is_whole(self) -> Self:
        if bool(self.where) == bool(self.by):
            raise ConfigError(f"Quota {self.name!r} needs either where or by.")
        if self.where:
            Expression.filter(self.where)
        elif not _is_of_texts(self.by):
            texts = [name for name, kind in ITEM_FIELDS.items() if kind in _TEXTS]
            raise ConfigError(
                f"Quota by {self.by!r}: no field of texts.", hint=nearest(self.by, texts)
            )
        elif self.min or self.min_share:
            raise ConfigError(
                f"Quota by {self.by!r} has a lower limit.",
                hint="Write it with where, for one value.",
            )
        return self

    def limits(self, k: int) -> tuple[int, int, int]:
        """Return (at least, at most, of how many positions) in a slate of k."""
        first = min(self.first or k, k)
        lo = max(self.min, math.ceil((self.min_share or 0) * first - 1e-9))
        hi = UNBOUNDED if self.max is None else self.max
        if self.max_share is not None:
            hi = min(hi, math.floor(self.max_share * first + 1e-9))
        return lo, hi, first

    def said(self) -> str:
        """Return the name, or what the rule asks for in words."""
        if self.name:
            return self.name
        parts = [f"at least {self.min}"] if self.min else []
        parts += [f"at least {self.min_share:.0%}"] if self.min_share else []
        parts += [f"at most {self.max}"] if self.max is not None else []
        parts += [f"at most {self.max_share:.0%}"] if self.max_share is not None else []
        what = f"where {self.where}" if self.where else f"of each {self.by}"
        window = f" in the first {self.first}" if self.first else ""
        return f"{', '.join(parts)} {what}{window}"


def _is_of_texts(field: str) -> bool:
    name = split(field)[1]
    return name.startswith(ATTRIBUTES) or ITEM_FIELDS.get(name) in _TEXTS


class Fatigue(Strict):
    """What was shown and never clicked gives way.

    Attributes
    ----------
    cap
        Not shown any more after so many times.
    half_after
        Worth half after so many times.
    days
        Counted is what was shown in so many days; without it, ever.
    """

    cap: int | None = pydantic.Field(default=None, ge=1)
    half_after: float | None = pydantic.Field(default=None, gt=0)
    days: float | None = pydantic.Field(default=None, gt=0)

    def since(self, now: int) -> int:
        """Return from when on what was shown counts at `now`, both UTC microseconds."""
        return 0 if self.days is None else now - int(self.days * DAY_US)

    @property
    def asked(self) -> bool:
        """Whether it matters what a shopper was shown."""
        return self.cap is not None or self.half_after is not None


class Explore(Strict):
    """A share of slates shows, in one position, an item that would not be there.

    Attributes
    ----------
    share
        Of the slates.
    position
        Which position, from 1.
    among
        How many of the next best candidates are drawn from, each as likely as any other.
    """

    share: float = pydantic.Field(gt=0, lt=1)
    position: int = pydantic.Field(default=5, ge=1)
    among: int = pydantic.Field(default=50, ge=1)


class Rules(Strict):
    """Everything that shapes a slate, solved together.

    In order of precedence: `exclude` and `fatigue.cap` always hold; then `pins`; then a full slate;
    then `quotas` in the order in which they are written, of which the later give way to the
    earlier; then wishes, which weigh against relevance: `diversity`, `calibration`, `reach`.

    Stability: caller.
    """

    exclude: str = ""
    """A condition: no such item."""
    pins: tuple[Pin, ...] = ()
    quotas: tuple[Quota, ...] = ()
    fatigue: Fatigue = Fatigue()
    diversity: float = pydantic.Field(default=0.0, ge=0, le=1)
    """0 is relevance alone, 1 is variety alone."""
    method: Method = "pairs"
    """How variety is measured: see `kernels`."""
    likeness: Likeness = "words"
    """What makes two items alike: their words (TF-IDF), or ``attributes``: brand and categories."""
    window: int = pydantic.Field(default=5, ge=2)
    """Over how many neighbours `ssd` measures it."""
    calibration: float = pydantic.Field(default=0.0, ge=0, le=1)
    """How much the mix of departments follows the shopper's own (Steck 2018)."""
    reach: float = pydantic.Field(default=0.0, ge=0)
    """What showing an item that nobody was shown yet is worth, in shares of the best relevance."""
    sharpness: float = pydantic.Field(default=1.0, gt=0)
    """Relevance is the score over the best one, to this power."""
    objective: Objective | None = None
    """What relevance is: without one, the models' score; with one, the value that is expected."""
    explore: Explore | None = None
    """Which share of slates tries something out; none by default."""

    @pydantic.model_validator(mode="after")
    def _is_sound(self) -> Self:
        if self.exclude:
            Expression.filter(self.exclude)
        items = [item for pin in self.pins for item in {pin.item, *pin.items} if item]
        positions = [str(pin.position) for pin in self.pins]
        for kind, given in (("item", items), ("position", positions)):
            twice = next((value for value in given if given.count(value) > 1), None)
            if twice is not None:
                raise ConfigError(f"Two pins have the {kind} {twice!r}.")
        return self

    def at(self, now: int) -> "Rules":
        """Return the rules of a moment, UTC microseconds: of what takes turns, whose turn it is."""
        if not any(pin.items for pin in self.pins):
            return self
        return self.model_copy(update={"pins": tuple(pin.at(now) for pin in self.pins)})

    def check(self, columns: Columns) -> None:
        """Refuse conditions about attributes that no item of a catalogue has.

        Raises
        ------
        FilterError
            Naming the nearest attribute.
        ConfigError
            When the objective cannot be reckoned with this catalogue.
        """
        for text in (self.exclude, *(quota.where for quota in self.quotas)):
            if text:
                Expression.filter(text).check(columns)
        for field in (quota.by for quota in self.quotas if quota.by):
            if columns.kinds.get(split(field)[1]) not in _TEXTS:
                texts = [name for name, kind in columns.kinds.items() if kind in _TEXTS]
                raise ConfigError(
                    f"Quota by {field!r}: no field of texts.", hint=nearest(field, texts)
                )
        if self.objective is not None:
            self.objective.check(columns)

    @property
    def idle(self) -> bool:
        """Whether slates stay as they are."""
        if self.objective is None:
            return self == _IDLE
        return not self.objective.steers and self.model_copy(update={"objective": None}) == _IDLE


_IDLE = Rules()


def load_rules(path: Path) -> Rules:
    """Read rules from a TOML file.

    Raises
    ------
    ConfigError
        For an unknown key (the nearest is named) or rules that contradict themselves.
    FilterError
        Pointing at what is wrong in a condition.
    DataError
        When the file cannot be read, or is no TOML.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as TOML: {error}.") from error
    return Rules.parse(values, where=str(path))

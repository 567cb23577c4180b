"""Step 2: what is wrong with an event by itself; the first rule that matches gives the reason."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import ibis
import ibis.expr.types as ir

from endcap.prepare.words import KIND_CODES
from endcap.schema.settings import PrepareSettings

HOUR_US: Final = 3_600_000_000


class Limits(NamedTuple):
    """What the rules compare with, in row form.

    Attributes
    ----------
    kinds
        Numbers of the kinds that carry preference, and of ``refund``.
    earliest, latest
        UTC microseconds.
    ahead
        Microseconds by which an event may lie after its own receipt.
    keep_free
        Whether a purchase at price 0 counts.
    """

    kinds: tuple[int, ...]
    earliest: int
    latest: int
    ahead: int
    keep_free: bool

    @classmethod
    def of(cls, settings: PrepareSettings, kinds: Sequence[int], now: datetime) -> "Limits":
        """Read the settings; `now` is an aware datetime."""
        ahead = int(settings.future_hours * HOUR_US)
        first = datetime(settings.earliest_year, 1, 1, tzinfo=UTC)
        return cls(
            tuple(kinds),
            int(first.timestamp()) * 1_000_000,
            int(now.timestamp() * 1_000_000) + ahead,
            ahead,
            settings.keep_free,
        )


class Rule(NamedTuple):
    """One reason to leave an event out.

    Attributes
    ----------
    name, why
        As the report says it.
    matches
        Which rows of a `words.coded` table the rule removes.
    """

    name: str
    why: str
    matches: Callable[[ir.Table, Limits], ir.BooleanValue]


def _clock(t: ir.Table, limits: Limits) -> ir.BooleanValue:
    ahead = (t.time > t.received + limits.ahead).fill_null(False)
    return t.time.isnull() | (t.time < limits.earliest) | (t.time > limits.latest) | ahead


def _price(t: ir.Table, limits: Limits) -> ir.BooleanValue:
    free = (t.kind == KIND_CODES["purchase"]) & (t.price == 0) & (not limits.keep_free)
    return (t.price < 0) | t.price.isnan() | t.price.isinf() | free


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "kinds",
        "says nothing of taste",
        lambda t, limits: ~t.kind.isin(limits.kinds),
    ),
    Rule("actors", "nobody is named", lambda t, _: t.actor.isnull() | t.nobody),
    Rule("items", "no item is named", lambda t, _: t.item.isnull()),
    Rule("clocks", "the time is impossible", _clock),
    Rule("prices", "the price is impossible", _price),
    Rule("quantities", "the quantity is 0", lambda t, _: t.quantity == 0),
    Rule("pseudo-items", "a line of the books, no product", lambda t, _: t.pseudo),
)


def judge(events: ir.Table, limits: Limits) -> ir.Table:
    """Turn the flags into `reason`: the place in `RULES` of the first rule that holds, or null."""
    first, *rest = [
        (rule.matches(events, limits).fill_null(False), ibis.literal(n, "int8"))
        for n, rule in enumerate(RULES)
    ]
    judged = events.mutate(reason=ibis.cases(first, *rest))
    return judged.drop("nobody", "pseudo", "received")

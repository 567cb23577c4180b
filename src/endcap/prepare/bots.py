"""Step 4: what machines did is no taste.

A bot looks more in an hour than people can, or pauses more evenly than people do. Only browsing
counts: who pays is a customer, however much (wholesale buyers of a gift shop order hundreds of
lines in a minute), and people rate by the hundred when a site asks them to.
"""

import math
from typing import Final

import ibis.expr.types as ir

from endcap.prepare.checks import HOUR_US
from endcap.prepare.words import KIND_CODES
from endcap.schema.settings import PrepareSettings

DELIBERATE: Final = tuple(KIND_CODES[kind] for kind in ("purchase", "refund", "rating"))
"""Kinds that never speak for a bot."""
TO_SIGMA: Final = 1.4826
"""A median absolute deviation times this is a standard deviation, if the values are normal."""


def browsing(events: ir.Table) -> ir.Table:
    """Return the events that may betray a machine."""
    return events.filter(~events.kind.isin(DELIBERATE))


def without(events: ir.Table, caught: ir.Table) -> ir.Table:
    """Return the events less the browsing of the actors in `caught`."""
    others = events.anti_join(caught, "actor")
    deliberate = events.filter(events.kind.isin(DELIBERATE)).semi_join(caught, "actor")
    return others.union(deliberate)


def hourly(events: ir.Table) -> ir.Table:
    """Return (actor, hour, events) of browsing."""
    seen = browsing(events)
    return seen.group_by(actor=seen.actor, hour=seen.time // HOUR_US).aggregate(events=seen.count())


def busiest(hours: ir.Table) -> ir.Table:
    """Return each actor's busiest hour and total: (actor, peak, total)."""
    return hours.group_by("actor").aggregate(peak=hours.events.max(), total=hours.events.sum())


def logs(actors: ir.Table) -> ir.Table:
    """Return one row: the median of the logarithm of the peaks."""
    return actors.aggregate(median=actors.peak.ln().median())


def spread(actors: ir.Table, median: float) -> ir.Table:
    """Return one row: the median absolute deviation of the logarithm of the peaks."""
    return actors.aggregate(mad=(actors.peak.ln() - median).abs().median())


def outlier(median: float, mad: float, spread_sigmas: float) -> float:
    """Return the value that lies so many robust deviations above the median, in logs."""
    return math.exp(median + spread_sigmas * TO_SIGMA * mad)


def hasty(actors: ir.Table, hours: ir.Table, events: ir.Table, limit: float,
          settings: PrepareSettings) -> ir.Table:  # fmt: skip
    """Return (actor) of those too quick: too many events, or different items, in an hour."""
    many = actors.filter(actors.peak > max(limit, settings.bot_events_per_hour - 1))
    floor = max(limit, settings.bot_items_per_hour - 1)
    busy = hours.filter(hours.events > floor).select("actor", "hour")
    seen = browsing(events)
    seen = seen.mutate(hour=seen.time // HOUR_US).semi_join(busy, ["actor", "hour"])
    wide = seen.group_by("actor", "hour").aggregate(items=seen.item.nunique())
    wide = wide.filter(wide.items > floor)
    return many.select("actor").union(wide.select("actor")).distinct()


def regular(actors: ir.Table, events: ir.Table, settings: PrepareSettings) -> ir.Table:
    """Return (actor) of those whose pauses within sessions are too even for a person."""
    enough = actors.filter(actors.total > settings.bot_intervals).select("actor")
    seen = browsing(events).select("actor", "time").semi_join(enough, "actor")
    pause = seen.time - seen.time.lag(1).over(group_by="actor", order_by="time")
    gap = settings.session_gap_minutes * 60e6
    paused = seen.mutate(pause=pause.cast("float64"))
    paused = paused.filter((paused.pause > 0) & (paused.pause <= gap))
    measured = paused.group_by("actor").aggregate(
        pauses=paused.count(),
        low=paused.pause.quantile(0.25),
        middle=paused.pause.median(),
        high=paused.pause.quantile(0.75),
    )
    even = measured.high - measured.low < settings.bot_regularity * measured.middle
    return measured.filter((measured.pauses >= settings.bot_intervals) & even).select("actor")

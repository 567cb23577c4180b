"""Who buys in bulk: named in the report, and never dropped.

A wholesale buyer's order is as true as any; what misleads is its size. So an order line counts
once, however many units it has, and bulk buyers weigh as everybody else does. The rule here only
tells how many there are and how much of the units they take.
"""

import ibis.expr.types as ir

from endcap.prepare.words import KIND_CODES


def buyers(events: ir.Table) -> ir.Table:
    """Return (actor, peak, units): the median units of a purchase line, and all units.

    The median, because one thing sold by the gram or the gallon makes nobody a wholesaler.
    """
    bought = events.filter(events.kind == KIND_CODES["purchase"])
    units = bought.quantity.cast("float64")
    return bought.group_by("actor").aggregate(peak=units.median(), units=units.sum())


def account(actors: ir.Table, limit: float) -> ir.Table:
    """Return one row: how many buyers lie above `limit`, and their percentage of all units."""
    bulk = actors.peak > limit
    return actors.aggregate(
        **{
            "buyers": bulk.sum(),
            "% of units": (100 * (bulk.cast("int8") * actors.units).sum() / actors.units.sum()),
        }
    )

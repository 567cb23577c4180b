"""Step 3: an event that arrived twice counts once, and lines of one order become one."""

import ibis
import ibis.expr.types as ir

from endcap.prepare.words import MOST_UNITS


def once(events: ir.Table) -> ir.Table:
    """Keep one of all rows that are equal in actor, item, kind, time, order, amount and value."""
    key = ["actor", "item", "kind", "time", "basket", "quantity", "price", "value"]
    return events.group_by(key).aggregate(visit=events.visit.min())


def one_line(events: ir.Table) -> ir.Table:
    """Merge lines that name the same item at the same instant; their quantities are added.

    The larger value stands (two ratings in the same instant); a quantity that nobody gave is 1.
    """
    units = events.quantity.fill_null(1)
    return events.group_by(["actor", "item", "kind", "time"]).aggregate(
        basket=events.basket.max(),
        visit=events.visit.max(),
        quantity=ibis.least(units.sum(), MOST_UNITS).cast("int32"),
        value=events.value.max(),
    )

"""Step 5: what was sent back was not wanted: a refund cancels the purchase before it.

A refund takes units back from the latest purchases of the same item by the same actor that lie
before it. Walk backwards through time and carry the units that are still to be taken back: a
refund adds to them, a purchase pays them off down to 0. That walk is Lindley's recursion
``d = max(0, d + x)``, whose value is the running sum less the running minimum of 0 and the sums
(Asmussen, Applied Probability and Queues, 2003, III.6), so two window functions do it.
"""

import ibis
import ibis.expr.types as ir

from endcap.prepare.words import KIND_CODES

PURCHASE, REFUND = KIND_CODES["purchase"], KIND_CODES["refund"]


def touched(events: ir.Table) -> ir.Table:
    """Return the purchases and refunds of every (actor, item) that has a refund."""
    keys = events.filter(events.kind == REFUND).select("actor", "item").distinct()
    trade = events.filter(events.kind.isin((PURCHASE, REFUND)))
    return trade.semi_join(keys, ["actor", "item"])


def settle(trade: ir.Table) -> ir.Table:
    """Add `cancelled`: the units of a purchase that were taken back, or the units that a refund
    could not place because nothing bought before it was left.
    """
    refund = trade.kind == REFUND
    signed = trade.mutate(x=ibis.ifelse(refund, trade.quantity, -trade.quantity), last=refund)
    backwards = ibis.window(
        group_by=["actor", "item"],
        order_by=[ibis.desc("time"), ibis.desc("last")],
        preceding=(None, 0),
    )
    summed = signed.mutate(total=signed.x.sum().over(backwards))
    lowest = summed.mutate(low=ibis.least(0, summed.total.min().over(backwards)))
    owed = lowest.mutate(owed=lowest.total - lowest.low)
    before = owed.mutate(before=owed.owed.lag(1).over(
        group_by=["actor", "item"], order_by=[ibis.desc("time"), ibis.desc("last")]
    ).fill_null(0))  # fmt: skip
    taken = ibis.least(before.before, before.quantity)
    return before.mutate(cancelled=ibis.ifelse(before.last, 0, taken)).drop(
        "x", "last", "total", "low", "before"
    )


def without(events: ir.Table, settled: ir.Table) -> ir.Table:
    """Return the events less refunds and less what they cancelled; quantities are what stays."""
    cut = settled.filter((settled.kind == PURCHASE) & (settled.cancelled > 0))
    cut = cut.select(c_actor="actor", c_item="item", c_time="time", cancelled="cancelled")
    joined = events.left_join(
        cut,
        [
            events.actor == cut.c_actor,
            events.item == cut.c_item,
            events.time == cut.c_time,
            events.kind == PURCHASE,
        ],
    )
    left = joined.quantity - joined.cancelled.fill_null(0)
    kept = joined.mutate(quantity=left).drop("c_actor", "c_item", "c_time", "cancelled")
    return kept.filter((kept.quantity > 0) & (kept.kind != REFUND))


def account(settled: ir.Table) -> ir.Table:
    """Return one row of counts for the report."""
    refund = settled.kind == REFUND
    whole = ~refund & (settled.cancelled == settled.quantity)
    part = ~refund & (settled.cancelled > 0) & (settled.cancelled < settled.quantity)
    return settled.aggregate(
        **{
            "refunds": refund.sum(),
            "purchases cancelled": whole.sum(),
            "cut": part.sum(),
        }
    )

"""Step 1: the columns that matter, who acted, and numbers for names."""

from collections.abc import Callable, Mapping
from typing import Final

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa

from endcap.schema.actors import VISITOR_PREFIX
from endcap.schema.kinds import KINDS
from endcap.schema.trust import CLAIMED, MARK, PROVABLE

KIND_CODES: Final[dict[str, int]] = {name: code for code, name in enumerate(KINDS)}
"""Built-in kinds keep their numbers; kinds of the settings follow in sorted order."""
UNKNOWN_KIND: Final = -1
MOST_UNITS: Final = 2**31 - 1
_MARKS: Final = 2**31 - 2

COLUMNS: Final[dict[str, str]] = {
    "kind": "string",
    "time": "int64",
    "received": "int64",
    "user_id": "string",
    "visitor_id": "string",
    "session_id": "string",
    "item_id": "string",
    "value": "float64",
    "quantity": "int64",
    "price": "float64",
    "order_id": "string",
    "properties": "string",
}
"""What `prepare` reads of an event; a column that is missing is null throughout."""


def _epoch_us(moment: ir.TimestampValue) -> ir.IntegerValue:
    """Return UTC microseconds; the engine knows the function by its name."""
    ...


epoch_us: Final[Callable[[ir.Value], ir.IntegerValue]] = ibis.udf.scalar.builtin(
    _epoch_us, name="epoch_us", signature=((dt.timestamp,), dt.int64)
)
"""UTC microseconds of a timestamp, by DuckDB's name for it (Spark: ``unix_micros``)."""


def conform(events: ir.Table) -> ir.Table:
    """Return exactly the columns of `COLUMNS`, cast; times become UTC microseconds."""
    return events.select(**{name: _column(events, name, kind) for name, kind in COLUMNS.items()})


def _column(events: ir.Table, name: str, kind: str) -> ir.Value:
    if name not in events.columns:
        return ibis.null(kind)
    column = events[name]
    if kind == "int64" and column.type().is_timestamp():
        return epoch_us(column)
    return column.cast(kind)


def resolve(events: ir.Table, aliases: ir.Table | None) -> ir.Table:
    """Add `actor`: the account, else the account a visitor turned out to be, else the visitor.

    Same as `schema.actors.actor`, column by column.
    """
    known = events.user_id.nullif("")
    if aliases is not None:
        events = events.left_join(aliases, events.visitor_id == aliases.alias_visitor)
        known = ibis.coalesce(events.user_id.nullif(""), events.alias_user)
    visitor = ibis.literal(VISITOR_PREFIX).concat(events.visitor_id.nullif(""))
    return events.mutate(actor=ibis.coalesce(known, visitor))


def turn_negatives(events: ir.Table) -> ir.Table:
    """Write a purchase of a negative quantity as a refund; quantities become positive."""
    back = (events.kind == "purchase") & (events.quantity < 0)
    return events.mutate(
        kind=ibis.ifelse(back.fill_null(False), "refund", events.kind),
        quantity=ibis.least(events.quantity.abs(), MOST_UNITS),
    )


def doubt(events: ir.Table) -> ir.Table:
    """Give claims (see `schema.trust`) the kind that stands for them; properties have served."""
    told = events.kind.isin(sorted(PROVABLE)) & events.properties.contains(MARK)
    claimed = ibis.ifelse(told.fill_null(False), CLAIMED, events.kind)
    return events.mutate(kind=claimed).drop("properties")


def numbered(events: ir.Table, name: str) -> ir.Table:
    """Return the different ids of a column with their place in sorted order, from 0."""
    distinct = events.select(id=events[name]).filter(lambda t: t.id.notnull()).distinct()
    return distinct.mutate(code=ibis.row_number().over(order_by=distinct.id).cast("int32"))


def alias_table(aliases: Mapping[str, str]) -> pa.Table:
    """Return (alias_visitor, alias_user)."""
    return pa.table(
        {
            "alias_visitor": pa.array(list(aliases.keys()), pa.string()),
            "alias_user": pa.array(list(aliases.values()), pa.string()),
        }
    )


def kind_codes(weights: Mapping[str, float]) -> dict[str, int]:
    """Return a number for each kind that the weights name."""
    own = sorted(set(weights) - set(KIND_CODES))
    return KIND_CODES | {name: len(KIND_CODES) + n for n, name in enumerate(own)}


def coded(
    events: ir.Table, actors: ir.Table, items: ir.Table, kinds: Mapping[str, int]
) -> ir.Table:
    """Replace names by numbers and the ids of orders and visits by hashes (0: none).

    `actors` and `items` are `numbered` tables with a flag each, ``nobody`` and ``pseudo``. Ten
    million rows pass through the next steps, so the columns are as narrow as they can be.
    """
    actors = actors.select(actor_id="id", actor_code="code", nobody="nobody")
    items = items.select(item_word="id", item_code="code", pseudo="pseudo")
    joined = events.left_join(actors, events.actor == actors.actor_id)
    joined = joined.left_join(items, joined.item_id == items.item_word)
    return joined.select(
        actor="actor_code", nobody="nobody", item="item_code", pseudo="pseudo", time="time",
        received="received",
        kind=joined.kind.cases(*kinds.items(), else_=UNKNOWN_KIND).cast("int8"),
        value=joined.value.cast("float32"), price=joined.price.cast("float32"),
        quantity=joined.quantity.cast("int32"),
        basket=_mark(joined.order_id), visit=_mark(joined.session_id),
    )  # fmt: skip


def _mark(column: ir.StringValue) -> ir.IntegerValue:
    """Hash an id that only needs to be told from the one before; 0 is none."""
    mark = (column.hash() % _MARKS).abs() + 1
    return ibis.ifelse(column.nullif("").isnull(), 0, mark).cast("int32")

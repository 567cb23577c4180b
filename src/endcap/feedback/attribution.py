"""What became of what was shown: impressions joined with the clicks and purchases after them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import duckdb
import pyarrow as pa

from endcap.schema.actors import VISITOR_PREFIX
from endcap.schema.tables import EVENTS, TIME

OUTCOME_KINDS: Final = ("click", "cart", "purchase")
WINDOW: Final = timedelta(days=7)

SHOWN: Final = (
    pa.field("request_id", pa.string(), nullable=False),
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("actor", pa.string()),
    pa.field("placement", pa.string()),
    pa.field("position", pa.int32()),
    pa.field("propensity", pa.float64()),
    pa.field("shown", TIME, nullable=False),
)


def outcome_schema(kinds: Sequence[str] = OUTCOME_KINDS) -> pa.Schema:
    """Return the schema of `attribute`: what was shown, then for each kind how often and when."""
    counts = [pa.field(kind, pa.int64(), nullable=False) for kind in kinds]
    firsts = [pa.field(f"first_{kind}", TIME) for kind in kinds]
    return pa.schema([*SHOWN, *counts, *firsts])


def attribute(
    events: pa.Table,
    *,
    window: timedelta = WINDOW,
    kinds: Sequence[str] = OUTCOME_KINDS,
    aliases: Mapping[str, str] | None = None,
) -> pa.Table:
    """Join impressions with their outcomes.

    An outcome belongs to at most one impression: to that of the `request_id` it names; else to
    the last one before it that showed this item to this actor. Either must lie no longer before
    it than `window`. The same item shown again under one `request_id` is one impression, the
    first.

    Parameters
    ----------
    events
        Rows of schema `EVENTS` in any order; a row that comes twice (same `event_id`) counts once.
    window
        How long after it was shown an item may claim an outcome.
    kinds
        The kinds of event that are outcomes.
    aliases
        visitor_id -> user_id: who acted as a visitor first and as a user later is one actor.

    Returns
    -------
    pa.Table
        Schema `outcome_schema(kinds)`, one row for each (request_id, item_id) shown, in the order
        of (shown, request_id, item_id). The same set of events gives the same table.
    """
    schema = outcome_schema(kinds)
    people = pa.table(
        {
            "visitor": pa.array([VISITOR_PREFIX + v for v in aliases or {}], pa.string()),
            "account": pa.array(list((aliases or {}).values()), pa.string()),
        }
    )
    counts = ", ".join(f"count(*) FILTER (kind = '{k}') AS \"{k}\"" for k in _plain(kinds))
    firsts = ", ".join(f"min(time) FILTER (kind = '{k}') AS \"first_{k}\"" for k in kinds)
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.register("raw", events.select(_USED))
        database.register("people", people)
        query = _JOIN.format(counts=counts, firsts=firsts)
        joined = database.sql(query, params={"window": window, "kinds": list(kinds)})
        found: pa.Table = joined.to_arrow_table()
    return found.cast(schema)


def _plain(kinds: Sequence[str]) -> Sequence[str]:
    """Return kinds that can stand in SQL and as column names.

    Raises
    ------
    ValueError
        When one is no plain word, or is ``impression`` itself.
    """
    for kind in kinds:
        if not kind.replace("_", "").replace("-", "").isalnum() or kind == "impression":
            raise ValueError(f"{kind!r} is no kind of outcome.")
    return kinds


_USED: Final = [
    name
    for name in EVENTS.names
    if name
    in {
        *("event_id", "kind", "time", "user_id", "visitor_id", "item_id"),
        *("placement", "request_id", "position", "propensity"),
    }
]

# Each step is a set: nothing depends on the order of rows, and ties are broken by ids.
_JOIN: Final = f"""
WITH once AS (
    SELECT DISTINCT ON (event_id) *,
        coalesce(nullif(user_id, ''), '{VISITOR_PREFIX}' || nullif(visitor_id, '')) AS said
    FROM raw WHERE item_id IS NOT NULL ORDER BY event_id
), told AS (
    SELECT once.*, coalesce(account, said) AS actor
    FROM once LEFT JOIN people ON said = visitor
), impressions AS (
    SELECT DISTINCT ON (request_id, item_id)
        request_id, item_id, actor, placement, position, propensity, time AS shown
    FROM told WHERE kind = 'impression' AND request_id IS NOT NULL
    ORDER BY request_id, item_id, time, event_id
), latest AS (
    SELECT actor, item_id, shown, max(request_id) AS request_id
    FROM impressions GROUP BY actor, item_id, shown
), outcomes AS (
    SELECT event_id, kind, time, actor, item_id, request_id
    FROM told WHERE kind IN (SELECT unnest($kinds::VARCHAR[]))
), named AS (
    SELECT outcomes.event_id, outcomes.kind, outcomes.time, request_id, item_id, shown
    FROM outcomes JOIN impressions USING (request_id, item_id)
), unnamed AS (
    SELECT o.event_id, o.kind, o.time, latest.request_id, o.item_id, shown
    FROM (SELECT * FROM outcomes ANTI JOIN named USING (event_id)) o
    ASOF JOIN latest
    ON o.actor = latest.actor AND o.item_id = latest.item_id AND o.time >= latest.shown
), mine AS (
    SELECT request_id, item_id, kind, time
    FROM (SELECT * FROM named UNION ALL SELECT * FROM unnamed)
    WHERE time >= shown AND time <= shown + $window
)
SELECT impressions.*, {{counts}}, {{firsts}}
FROM impressions LEFT JOIN mine USING (request_id, item_id)
GROUP BY ALL ORDER BY shown, request_id, item_id
"""

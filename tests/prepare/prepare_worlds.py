"""Small worlds of events with a known right answer."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

START = datetime(2024, 3, 1, 12, tzinfo=UTC)
NOW = datetime(2024, 6, 1, tzinfo=UTC)
EVENT = {
    "kind": "purchase", "time": START, "user_id": "ann", "visitor_id": None, "item_id": "lamp",
    "session_id": None, "quantity": 1, "price": 5.0, "value": None, "order_id": None,
}  # fmt: skip
TYPES = {
    "kind": pa.string(), "time": pa.timestamp("us", "UTC"), "user_id": pa.string(),
    "visitor_id": pa.string(), "item_id": pa.string(), "session_id": pa.string(),
    "quantity": pa.int64(), "price": pa.float64(), "value": pa.float64(),
    "order_id": pa.string(),
}  # fmt: skip


def at(minutes: float = 0, days: float = 0) -> datetime:
    return START + timedelta(minutes=minutes, days=days)


def events(*rows: dict) -> pa.Table:
    """Build a table; a row names only what differs from one purchase by Ann."""
    return pa.table(
        {
            name: pa.array([(EVENT | row)[name] for row in rows], kind)
            for name, kind in TYPES.items()
        }
    )


def left(dataset) -> list[tuple]:
    """Return (user, item, kind, minutes since START) of each interaction."""
    table = dataset.interactions
    minutes = [(t.timestamp() - START.timestamp()) / 60 for t in moments(table["time"])]
    return list(
        zip(
            dataset.users.ids(table["user"].to_numpy()),
            dataset.items.ids(table["item"].to_numpy()),
            table["kind"].to_pylist(),
            minutes,
            strict=True,
        )
    )


def moments(column: pa.ChunkedArray) -> list[datetime]:
    return [datetime.fromtimestamp(us / 1e6, UTC) for us in column.cast(pa.int64()).to_pylist()]


def as_events(dataset) -> pa.Table:
    """Write a data set as the events that would give it again."""
    table = dataset.interactions
    return pa.table(
        {
            "user_id": dataset.users.array.take(table["user"].combine_chunks()),
            "item_id": dataset.items.array.take(table["item"].combine_chunks()),
            "kind": table["kind"].cast(pa.string()),
            "time": table["time"],
            "value": table["value"],
        }
    )

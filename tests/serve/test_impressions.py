"""What was shown is logged, behind the answer's back, and losing it costs nobody an answer."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from served_shop import Served

from endcap.events.store import Receipt
from endcap.recommend.slate import Slate, SlateItem
from endcap.schema.errors import StoreFullError
from endcap.serve.impressions import ImpressionWriter, Shown, impressions

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def slate(request_id: str = "r", n: int = 3) -> Slate:
    items = tuple(SlateItem(f"i{k}", k, 1.0 / k, "ease") for k in range(1, n + 1))
    return Slate(request_id, "home", items, "personal", "m1", NOW)


class Log:
    """An event log in memory; waits for `open` and fails on demand."""

    def __init__(self) -> None:
        self.tables: list[pa.Table] = []
        self.open = threading.Event()
        self.open.set()
        self.full = False

    def append(self, events: pa.Table) -> Receipt:
        assert self.open.wait(10)
        if self.full:
            raise StoreFullError("full")
        self.tables.append(events)
        return Receipt(events.num_rows, events.num_rows)


def writer(log: Any, dropped: Callable[[int], object], room: int = 10) -> ImpressionWriter:
    return ImpressionWriter(log, clock=lambda: NOW, on_dropped=dropped, room=room)


def test_each_item_is_one_event_with_its_place_and_propensity() -> None:
    rows = impressions([Shown(slate(), "u", "v")], NOW).to_pylist()
    assert [(r["event_id"], r["item_id"], r["position"]) for r in rows] == [
        ("r-1", "i1", 1),
        ("r-2", "i2", 2),
        ("r-3", "i3", 3),
    ]
    for row in rows:
        assert (row["kind"], row["propensity"], row["placement"]) == ("impression", 1.0, "home")
        assert (row["user_id"], row["visitor_id"], row["request_id"]) == ("u", "v", "r")


def test_when_the_queue_is_full_impressions_are_dropped_and_counted() -> None:
    log, dropped = Log(), []
    log.open.clear()
    shown = writer(log, dropped.append, room=4)
    for n in range(12):
        shown.put(Shown(slate(f"r{n}"), "u", None))
    assert sum(dropped) >= 3 * (12 - 4 - 5)
    log.open.set()
    shown.close()
    assert sum(dropped) + sum(t.num_rows for t in log.tables) == 36


def test_a_store_that_refuses_costs_impressions_and_nothing_else() -> None:
    log, dropped = Log(), []
    log.full = True
    shown = writer(log, dropped.append)
    shown.put(Shown(slate(), "u", None))
    shown.flush()
    assert dropped == [3]
    log.full = False
    shown.put(Shown(slate("r2"), "u", None))
    shown.close()
    assert dropped == [3]
    assert log.tables[0].num_rows == 3


def test_a_slate_for_nobody_or_with_nothing_is_not_logged() -> None:
    log: Any = Log()
    shown = writer(log, [].append)
    shown.put(Shown(slate(), None, None))
    shown.put(Shown(slate(n=0), "u", None))
    shown.close()
    assert log.tables == []


@pytest.mark.parametrize(
    "path", ["/v1/recommendations?visitor_id=v", "/v1/items/a/similar?visitor_id=v"]
)
def test_a_served_slate_is_in_the_log(shop: Served, path: str) -> None:
    shop.items(*[{"item_id": i} for i in "abcd"])
    answer = shop.client.get(path).json()
    shop.runtime.impressions.flush()
    logged = [
        (row["request_id"], row["position"], row["item_id"])
        for batch in shop.runtime.store.log.scan(kinds=["impression"])
        for row in batch.to_pylist()
    ]
    assert sorted(logged) == [
        (answer["request_id"], i["rank"], i["item_id"]) for i in answer["items"]
    ]
    assert len(logged) >= 3
    assert shop.metric("endcap_impressions_dropped_total") == 0


def test_what_was_shown_does_not_change_what_is_shown_next(shop: Served) -> None:
    shop.items(*[{"item_id": i} for i in "abcd"])
    first = shop.slate(user_id="u", k=2)
    shop.runtime.impressions.flush()
    again = shop.slate(user_id="u", k=2)
    assert first["request_id"] != again["request_id"]
    assert [i["item_id"] for i in first["items"]] == [i["item_id"] for i in again["items"]]

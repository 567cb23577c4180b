"""Who shops here: counts of a real log, in the background and onwards from where they were."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from console_world import NOW, purchases

from endcap.events.opening import open_store
from endcap.events.store import EventLog, Store
from endcap.events.validate import check
from endcap.schema.errors import StoreError
from endcap.schema.settings import StoreSettings
from endcap.serve.console.directory import FRESH_SECONDS, Directory


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Any:
    opened = open_store(StoreSettings(folder=tmp_path / "data"))
    yield opened
    opened.close()


def add(store: Store, *rows: dict[str, Any]) -> None:
    events = check(list(rows), now=NOW, live=False, source="t").events
    assert store.log.append(events).stored == len(rows)


def event(n: str, kind: str = "view", **who: str) -> dict[str, Any]:
    return {"event_id": n, "kind": kind, "time": NOW.isoformat(), "item_id": "k1", **who}


def test_counts_are_those_of_the_log(store: Store) -> None:
    rows = purchases()
    add(store, *rows, event("v", visitor_id="g-1"), event("i", kind="impression", user_id="1000"))
    directory = Directory(store.log)
    directory.census()
    directory.wait()
    census = directory.census()
    expected = Counter(row["user_id"] for row in rows)
    counted = {actor: shopper.events for actor, shopper in census.shoppers.items()}
    assert counted == {**expected, "visitor:g-1": 1}
    items = Counter(row["item_id"] for row in rows)
    items["k1"] += 1
    assert census.sold == dict(sorted(items.items(), key=lambda pair: (-pair[1], pair[0])))
    assert list(census.sold.values()) == sorted(items.values(), reverse=True)
    assert census.last == int(NOW.timestamp() * 1e6)


def test_a_later_count_goes_on_from_the_last(store: Store) -> None:
    clock = Clock()
    add(store, *purchases())
    directory = Directory(store.log, clock=clock)
    directory.census()
    directory.wait()
    before = directory.census().shoppers["1000"].events
    add(store, event("new", user_id="1000"))
    directory.wait()
    assert directory.census().shoppers["1000"].events == before  # still fresh
    clock.now += FRESH_SECONDS + 1
    directory.census()
    directory.wait()
    assert directory.census().shoppers["1000"].events == before + 1


def test_the_first_count_has_an_end(store: Store) -> None:
    add(store, *purchases())
    directory = Directory(store.log, most=1)
    directory.census()
    directory.wait()
    assert directory.census().shoppers


def test_search_puts_prefixes_first_and_lively_needs_an_account(store: Store) -> None:
    add(
        store,
        *(event(f"a{n}", user_id="12") for n in range(3)),
        *(event(f"b{n}", user_id="3123") for n in range(15)),
        *(event(f"c{n}", user_id="1299") for n in range(2)),
        *(event(f"d{n}", visitor_id="12-guest") for n in range(20)),
    )
    directory = Directory(store.log)
    directory.census()
    directory.wait()
    assert [s.actor for s in directory.search("12")] == ["12", "1299", "visitor:12-guest", "3123"]
    assert [s.actor for s in directory.search(" GUEST ")] == ["visitor:12-guest"]
    assert directory.search("nobody") == []
    assert [s.actor for s in directory.lively()] == ["3123", "12", "1299"]


def test_an_empty_log_has_nobody(store: Store) -> None:
    directory = Directory(store.log)
    assert directory.census().shoppers == {}
    assert directory.lively() == []


class Broken(EventLog):
    """A log whose disk is gone."""

    def scan(self, *_: Any, **__: Any) -> Any:
        raise StoreError("The disk is gone.")


def test_a_log_that_cannot_be_read_only_leaves_the_picture_out() -> None:
    directory = Directory(Broken())
    assert directory.census().shoppers == {}

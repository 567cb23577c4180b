"""The live state says what a state read from the store would say."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from endcap.events.opening import open_store
from endcap.events.store import Receipt, Store
from endcap.prepare.vocabulary import Vocabulary
from endcap.prepare.weights import kind_weights
from endcap.recommend.state import State
from endcap.recommend.store_state import StoreState
from endcap.schema.settings import StoreSettings
from endcap.schema.tables import EVENTS, ITEMS
from endcap.serve.state import LiveState

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(StoreSettings(folder=tmp_path))
    yield opened
    opened.close()


def live_state(store: Store) -> LiveState:
    return LiveState(store, kind_weights(), clock=lambda: NOW)


def rows(*events: tuple[str, str | None, str | None, str | None]) -> pa.Table:
    """Return events of (id, user, visitor, item), each a second after the one before."""
    return pa.Table.from_pylist(
        [
            {
                "event_id": event_id, "kind": "view", "received": NOW,
                "time": NOW.replace(minute=n // 60, second=n % 60),
                "user_id": user, "visitor_id": visitor, "item_id": item,
            }
            for n, (event_id, user, visitor, item) in enumerate(events)
        ],
        schema=EVENTS,
    )  # fmt: skip


def collect(store: Store, live: LiveState, events: pa.Table) -> Receipt:
    receipt = store.log.append(events)
    live.events_stored(events, receipt)
    return receipt


def test_it_is_a_state(store: Store) -> None:
    live = live_state(store)
    assert isinstance(live, State)
    assert live.now == NOW


def test_duplicates_are_not_counted_twice(store: Store) -> None:
    live = live_state(store)
    assert live.history("u").item_ids == []
    once = rows(("1", "u", None, "a"))
    collect(store, live, once)
    collect(store, live, once)
    collect(store, live, rows(("1", "u", None, "a"), ("2", "u", None, "b")))
    assert live.history("u").item_ids == ["a", "b"]


def test_what_was_shown_and_what_names_no_item_is_no_history(store: Store) -> None:
    live = live_state(store)
    events = rows(("1", "u", None, None), ("2", "u", None, "a"))
    shown = events.set_column(1, "kind", pa.array(["search", "impression"]))
    collect(store, live, shown)
    assert live.history("u").item_ids == []
    live.history("u")
    collect(store, live, shown.set_column(0, "event_id", pa.array(["3", "4"])))
    assert live.history("u").item_ids == []


def test_a_visitor_given_to_another_user_leaves_the_first(store: Store) -> None:
    live = live_state(store)
    collect(store, live, rows(("1", None, "v", "a"), ("2", "u", None, "b")))
    for user, other in (("u", "w"), ("w", "u")):
        live.history("u"), live.history("w"), live.history("visitor:v")
        store.alias("v", user)
        live.alias_stored("v", user)
        assert "a" in live.history(user).item_ids
        assert "a" not in live.history(other).item_ids
        assert live.history("visitor:v").item_ids == live.history(user).item_ids


def test_every_change_raises_the_version(store: Store) -> None:
    live = live_state(store)
    seen = [live.version]
    collect(store, live, rows(("1", "u", None, "a")))
    seen.append(live.version)
    item = pa.Table.from_pylist([{"item_id": "a", "title": "A"}], schema=ITEMS)
    live.items_stored(item)
    seen.append(live.version)
    live.items_deleted(["a"])
    seen.append(live.version)
    live.alias_stored("v", "u")
    seen.append(live.version)
    live.reload()
    seen.append(live.version)
    assert seen == sorted(set(seen))


def test_the_catalogue_is_followed(store: Store) -> None:
    words = Vocabulary(["a", "b", "c"])
    live = live_state(store)
    now = 0
    assert live.available_rows(words, now).tolist() == [0, 1, 2]
    table = pa.Table.from_pylist(
        [{"item_id": "a", "title": "A"}, {"item_id": "b", "stock": 0}], schema=ITEMS
    )
    live.items_stored(table)
    assert live.available_rows(words, now).tolist() == [0]
    assert live.facts(["a", "zzz"]) == {"a": {"title": "A"}}
    assert (list(live.item_ids()), list(live.available_ids(now))) == (["a", "b"], ["a"])
    live.items_deleted(["a"])
    assert live.available_ids(now) == []
    assert live.facts(["a"]) == {}


people = st.sampled_from([("u", None), ("w", None), (None, "v"), ("u", "v"), (None, "x")])
steps = st.lists(
    st.one_of(
        st.lists(st.tuples(st.integers(0, 30), people, st.sampled_from("abc")), max_size=4),
        st.tuples(st.sampled_from("vx"), st.sampled_from("uw")),
    ),
    max_size=8,
)


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps)
def test_it_never_differs_from_the_store(
    tmp_path_factory: pytest.TempPathFactory, drawn: list
) -> None:
    store = open_store(StoreSettings(folder=tmp_path_factory.mktemp("shop")))
    try:
        live = live_state(store)
        for step in drawn:
            if isinstance(step, tuple):
                store.alias(*step)
                live.alias_stored(*step)
            else:
                collect(store, live, rows(*[(str(n), *who, item) for n, who, item in step]))
            told = StoreState(store)
            for who in ("u", "w", "visitor:v", "visitor:x", "nobody"):
                seen, truth = live.history(who), told.history(who)
                assert sorted(zip(seen.times, seen.item_ids, strict=True)) == sorted(
                    zip(truth.times, truth.item_ids, strict=True)
                )
    finally:
        store.close()

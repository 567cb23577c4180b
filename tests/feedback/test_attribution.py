"""Attribution: against ten plain lines, in any order, however often."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.feedback.attribution import attribute, outcome_schema
from endcap.schema.actors import actor
from endcap.schema.tables import EVENTS

START = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = timedelta(days=7)


def event(number: int, kind: str, hours: int, item: str = "a", **more: Any) -> dict[str, Any]:
    moment = START + timedelta(hours=hours)
    given_ = {"user_id": "u", **more}
    return {
        "event_id": f"e{number}", "kind": kind, "time": moment, "received": moment,
        "item_id": item, **given_,
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=EVENTS)


def shown(rows: list[dict[str, Any]], **options: Any) -> dict[tuple[str, str], dict[str, Any]]:
    found = attribute(table(rows), **options).to_pylist()
    return {(row["request_id"], row["item_id"]): row for row in found}


def test_an_outcome_goes_to_the_request_it_names() -> None:
    rows = [
        event(1, "impression", 0, request_id="r1", position=1, propensity=0.5, placement="home"),
        event(2, "impression", 1, request_id="r2", position=4),
        event(3, "click", 2, request_id="r1"),
        event(4, "purchase", 3, request_id="r1"),
        event(5, "purchase", 4, request_id="r1"),
    ]
    found = shown(rows)
    first = found["r1", "a"]
    assert (first["click"], first["cart"], first["purchase"]) == (1, 0, 2)
    assert first["first_purchase"] == START + timedelta(hours=3)
    assert first["first_cart"] is None
    assert (first["position"], first["propensity"], first["placement"]) == (1, 0.5, "home")
    assert found["r2", "a"]["click"] == 0


def test_without_a_request_it_goes_to_the_last_time_this_item_was_shown_to_this_actor() -> None:
    rows = [
        event(1, "impression", 0, request_id="r1"),
        event(2, "impression", 5, request_id="r2"),
        event(3, "impression", 5, request_id="r3", item="b"),
        event(4, "impression", 6, request_id="r4", user_id="other"),
        event(5, "impression", 9, request_id="r5"),
        event(6, "purchase", 8),
    ]
    found = shown(rows)
    assert [key[0] for key, row in found.items() if row["purchase"]] == ["r2"]


def test_the_window_is_closed_on_both_ends() -> None:
    rows = [event(0, "impression", 0, request_id="r")]
    outcomes = [
        event(n, "click", hours, request_id="r") for n, hours in enumerate((-1, 0, 168, 169), 1)
    ]
    assert shown(rows + outcomes)["r", "a"]["click"] == 2
    assert shown(rows + outcomes, window=timedelta(hours=1))["r", "a"]["click"] == 1


def test_a_visitor_who_signed_in_is_one_actor() -> None:
    rows = [
        event(1, "impression", 0, request_id="r", user_id=None, visitor_id="v"),
        event(2, "purchase", 1, user_id="u"),
    ]
    assert shown(rows)["r", "a"]["purchase"] == 0
    found = shown(rows, aliases={"v": "u"})["r", "a"]
    assert (found["purchase"], found["actor"]) == (1, "u")


def test_nothing_shown_is_an_empty_table_of_the_schema() -> None:
    found = attribute(table([event(1, "purchase", 0)]), kinds=("purchase",))
    assert found.schema == outcome_schema(("purchase",))
    assert found.num_rows == 0


@pytest.mark.parametrize("kind", ["impression", "a' OR 1=1 --", ""])
def test_only_plain_words_are_kinds(kind: str) -> None:
    with pytest.raises(ValueError, match="no kind of outcome"):
        attribute(table([]), kinds=(kind,))


def naive(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, int]]:
    """Count outcomes in the plainest way: for each one look at all impressions."""
    first: dict[tuple[str, str], dict[str, Any]] = {}
    once = {row["event_id"]: row for row in rows}.values()
    for row in sorted(once, key=lambda r: (r["time"], r["event_id"])):
        if row["kind"] == "impression" and row["request_id"]:
            first.setdefault((row["request_id"], row["item_id"]), row)
    counts = {key: {"click": 0, "purchase": 0} for key in first}
    for row in once:
        if row["kind"] == "impression":
            continue
        key = (row["request_id"], row["item_id"])
        if key not in first:
            who = actor(row["user_id"], row["visitor_id"])
            before = [
                (one["time"], one["request_id"])
                for one in first.values()
                if one["item_id"] == row["item_id"]
                and actor(one["user_id"], one["visitor_id"]) == who
                and one["time"] <= row["time"]
            ]
            if not before:
                continue
            key = (max(before)[1], row["item_id"])
        if timedelta(0) <= row["time"] - first[key]["time"] <= WINDOW:
            counts[key][row["kind"]] += 1
    return counts


rows_of_events = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["impression", "impression", "click", "purchase"]),
            "hours": st.integers(0, 200),
            "item": st.sampled_from("ab"),
            "user_id": st.sampled_from(["u", "w", None]),
            "visitor_id": st.sampled_from(["v", "x"]),
            "request_id": st.sampled_from(["r1", "r2", "r3", None]),
        }
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=25)  # each opens a database, twice
@given(rows_of_events, st.integers(0, 10**6))
def test_it_equals_the_naive_count_in_any_order_and_however_often(
    drawn: list[dict[str, Any]], seed: int
) -> None:
    rows = [event(n, **{**d}) for n, d in enumerate(drawn)]
    mixed = rows + rows[::2]
    random.Random(seed).shuffle(mixed)
    kinds = ("click", "purchase")
    found = attribute(table(rows), kinds=kinds)
    assert attribute(table(mixed), kinds=kinds).equals(found)
    counts = {
        (row["request_id"], row["item_id"]): {kind: row[kind] for kind in kinds}
        for row in found.to_pylist()
    }
    assert counts == naive(rows)

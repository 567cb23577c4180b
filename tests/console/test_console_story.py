"""Visits, changes, evidence and the long tail, against figures reckoned by hand."""

import math
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.recommend.slate import Reason, Slate, SlateItem
from endcap.recommend.state import History
from endcap.serve.console.changes import Happening, Memory, compare
from endcap.serve.console.evidence import MAX_ROWS, evidence, long_tail
from endcap.serve.console.history import GAP_MICROS, visits

MINUTE = 60_000_000


def history(*events: tuple[str, str, int]) -> History:
    return History.of([(item, kind, time, math.nan) for item, kind, time in events])


def slate(*rows: tuple[str, dict[str, float]]) -> Slate:
    items = tuple(
        SlateItem(i, rank, 1.0, "m", tuple(Reason("history", p, s) for p, s in reasons.items()))
        for rank, (i, reasons) in enumerate(rows, start=1)
    )
    return Slate("r", "home", items, "personal", "a", datetime(2026, 1, 1, tzinfo=UTC))


def test_visits_are_cut_where_half_an_hour_passes() -> None:
    told = visits(
        history(
            ("a", "purchase", 0),
            ("b", "purchase", 0),
            ("a", "purchase", 20 * MINUTE),
            ("c", "view", 49 * MINUTE),
            ("c", "purchase", 80 * MINUTE),
        ),
        {"a": {"title": "A"}},
    )
    assert [visit.time for visit in told] == [80 * MINUTE, 49 * MINUTE]
    assert [(d.kind, d.item_id, d.times_done) for d in told[1].deeds] == [
        ("view", "c", 1),
        ("purchase", "b", 1),
        ("purchase", "a", 2),
    ]
    assert told[1].bought == 2
    assert told[1].deeds[2].facts == {"title": "A"}
    assert visits(history(), {}) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(["view", "purchase"]),
            st.integers(0, 10**11),
        ),
        max_size=30,
    )
)
def test_no_event_is_lost_or_told_twice(events: list[tuple[str, str, int]]) -> None:
    told = visits(history(*events), {})
    assert sum(deed.times_done for visit in told for deed in visit.deeds) == len(events)
    spans = [(min(d.time for d in visit.deeds), visit.time) for visit in told]
    assert all(first - last > GAP_MICROS for (first, _), (_, last) in pairwise(spans))


def test_compare_names_what_came_went_and_moved() -> None:
    before = slate(("a", {}), ("b", {}), ("c", {}), ("d", {}))
    after = slate(("c", {}), ("b", {}), ("e", {}), ("d", {}))
    assert compare(before, after) == (("e",), ("a",), {"c": 2})
    assert compare(before, before) == ((), (), {})


ids = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=6)


@given(ids, ids)
def test_compare_is_its_own_mirror(first: list[str], second: list[str]) -> None:
    one, two = slate(*((i, {}) for i in first)), slate(*((i, {}) for i in second))
    entered, left, moved = compare(one, two)
    came, went, other_way = compare(two, one)
    assert (set(came), set(went)) == (set(left), set(entered))
    assert other_way == {i: -by for i, by in moved.items()}
    assert set(first) - set(left) | set(entered) == set(second)


def happening(event_id: str, actor: str = "u") -> Happening:
    return Happening(event_id, actor, "view", "x", "stored", 1.0, 1.0, (), (), {})


def test_memory_is_bounded_and_private() -> None:
    memory = Memory()
    for n in range(Memory.LIMIT + 1):
        memory.keep(happening(f"e{n}"))
    assert memory.recall("e0", "u") is None
    assert memory.recall("e1", "u") == happening("e1")
    assert memory.recall("e1", "somebody else") is None
    memory.keep(happening("e1", "other"))  # a second telling changes nothing
    assert memory.recall("e1", "u") == happening("e1")


def test_evidence_is_a_table_of_shares() -> None:
    told = evidence(slate(("x", {"a": 0.6, "b": 0.1}), ("y", {"b": 0.7, "c": math.nan}), ("z", {})))
    assert told.past == ("b", "a")
    assert told.shown == ("x", "y", "z")
    assert told.shares == ((0.1, 0.7, None), (0.6, None, None))
    many = {f"p{n:02}": 0.01 for n in range(MAX_ROWS + 5)}
    assert len(evidence(slate(("x", many))).past) == MAX_ROWS
    assert evidence(slate(("x", {}))).past == ()


def test_the_long_tail_places_items_by_rank_and_sales() -> None:
    sold = {f"i{n}": 100 - n for n in range(100)}
    told = long_tail(sold, ["i0", "i99", "i5", "never sold"])
    assert told.items == 100
    assert [(m[0], m[3]) for m in told.marks] == [("i0", 1), ("i99", 100), ("i5", 6)]
    assert told.tail == 1
    assert told.marks[0][1:3] == (0.0, 1.0)
    assert told.marks[1][1] == pytest.approx(1.0)
    xs, ys = zip(*told.curve, strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True)
    assert long_tail({}, ["a"]).marks == ()
    assert long_tail({"a": 3}, ["a"]).marks == (("a", 0.0, 1.0, 1),)

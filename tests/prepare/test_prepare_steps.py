"""Each step of `prepare` on events whose right answer is known."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prepare_worlds import NOW, at, events, left

from endcap.events.opening import open_store
from endcap.prepare.run import prepare, prepare_store
from endcap.schema.actors import actor
from endcap.schema.errors import DataError
from endcap.schema.settings import PrepareSettings, Settings, StoreSettings


def run(table, **more):
    prepared = prepare(table, now=NOW, **more)
    assert prepared.report.balanced
    return prepared


def test_actors_are_accounts_else_aliases_else_visitors():
    rows = [
        {"user_id": "ann", "visitor_id": "v1"},
        {"user_id": None, "visitor_id": "v1", "item_id": "cup"},
        {"user_id": "", "visitor_id": "v2"},
        {"user_id": None, "visitor_id": "", "item_id": "bowl"},
        {"user_id": "Undefined"},
    ]
    plain = run(events(*rows))
    assert sorted(plain.dataset.users.array.to_pylist()) == ["ann", "visitor:v1", "visitor:v2"]
    assert actor("", "v2") in plain.dataset.users
    assert plain.report.removed("actors") == 2
    joined = run(events(*rows), aliases={"v1": "ann", "nobody": "bob"})
    assert joined.dataset.users.array.to_pylist() == ["ann", "visitor:v2"]
    assert [row[:2] for row in left(joined.dataset)] == [
        ("ann", "cup"), ("ann", "lamp"), ("visitor:v2", "lamp"),
    ]  # fmt: skip


BAD = [
    ({"kind": "impression"}, "kinds"),
    ({"kind": "uncart"}, "kinds"),
    ({"kind": "sneeze"}, "kinds"),
    ({"kind": "search", "item_id": None}, "kinds"),
    ({"user_id": None}, "actors"),
    ({"item_id": None}, "items"),
    ({"time": at(days=-366 * 40)}, "clocks"),
    ({"time": at(days=400)}, "clocks"),
    ({"price": -1.0}, "prices"),
    ({"price": 0.0}, "prices"),
    ({"price": float("nan")}, "prices"),
    ({"price": float("inf")}, "prices"),
    ({"quantity": 0}, "quantities"),
    ({"item_id": "postage"}, "pseudo-items"),
]


def test_a_bad_row_goes_with_its_reason_and_takes_nothing_along():
    prepared = run(events({"item_id": "cup"}, *(row for row, _ in BAD)))
    assert [r[1] for r in left(prepared.dataset)] == ["cup"]
    steps = {s.name: s for s in prepared.report.steps if s.removed}
    expected = Counter(step for _, step in BAD)
    assert {name: step.removed for name, step in steps.items()} == expected
    assert all(len(steps[name].examples) == min(n, 3) for name, n in expected.items())
    assert steps["prices"].examples[0]["actor"] == "ann"
    assert steps["clocks"].examples[0]["time"].startswith("1984-")
    assert "sneeze" not in prepared.report.shapes.daily
    assert prepared.report.shapes.daily["(unknown)"].sum() == 1


def test_an_odd_row_that_is_sound_stays():
    odd = [
        {"price": None},
        {"kind": "view", "price": 0.0},
        {"item_id": "M"},
        {"quantity": None},
        {"time": at(days=-366 * 30)},
    ]
    rows = [row | {"user_id": f"u{n}"} for n, row in enumerate(odd)]
    assert len(left(run(events(*rows)).dataset)) == len(odd)


def test_settings_move_the_rules():
    free = PrepareSettings(keep_free=True, earliest_year=2025)
    assert run(events({"price": 0.0}), settings=free).report.removed("clocks") == 1
    kept = run(events({"price": 0.0}), settings=PrepareSettings(keep_free=True))
    assert kept.report.rows_out == 1
    own = run(events({"kind": "sneeze"}, {"kind": "view"}), kinds={"sneeze": 3.0, "view": 0.0})
    assert [row[2] for row in left(own.dataset)] == ["sneeze"]
    assert own.dataset.column("weight").tolist() == [3.0]


def test_a_product_of_the_catalogue_is_no_line_of_the_books():
    catalogue = pa.table({"item_id": ["M", "lamp"]})
    prepared = run(events({"item_id": "M"}, {"item_id": "D"}, {}), items=catalogue)
    assert {row[1] for row in left(prepared.dataset)} == {"M", "lamp"}
    assert prepared.report.removed("pseudo-items") == 1
    assert prepared.dataset.item_table["item_id"].to_pylist() == ["M", "lamp"]


def test_an_event_after_its_own_receipt_is_a_broken_clock():
    table = events({}, {"item_id": "cup", "time": at(days=3)})
    received = pa.array([at(), at()], pa.timestamp("us", "UTC"))
    prepared = run(table.append_column("received", received))
    assert prepared.report.removed("clocks") == 1
    assert [row[1] for row in left(prepared.dataset)] == ["lamp"]


def test_repeats_count_once_and_lines_of_an_order_add_up():
    prepared = run(
        events({}, {}, {"quantity": 4}, {"kind": "refund", "quantity": 4, "time": at(9)})
    )
    assert prepared.report.removed("repeats") == 1
    assert prepared.report.removed("order lines") == 1
    # 1 + 4 units were bought and 4 came back: a double count would leave more, a loss none.
    assert left(prepared.dataset) == [("ann", "lamp", "purchase", 0.0)]
    gone = run(events({}, {}, {"quantity": 4}, {"kind": "refund", "quantity": 5, "time": at(9)}))
    assert left(gone.dataset) == []


def test_the_larger_of_two_ratings_in_an_instant_stands():
    stars = [{"kind": "rating", "value": v} for v in (2.0, 5.0, 3.0)]
    assert run(events(*stars)).dataset.column("value").tolist() == [5.0]


TRADES = [
    ([("purchase", 0, 1), ("purchase", 5, 1), ("refund", 9, 1)], [0]),
    ([("refund", 0, 1), ("purchase", 5, 1)], [5]),
    ([("purchase", 0, 1), ("refund", 2, 1), ("purchase", 5, 1), ("refund", 9, 1)], []),
    ([("purchase", 0, 2), ("refund", 2, 1)], [0]),
    ([("purchase", 0, 2), ("refund", 2, 1), ("refund", 3, 1)], []),
    ([("purchase", 0, 1), ("refund", 2, 5), ("purchase", 5, 1)], [5]),
    ([("purchase", 0, 3), ("purchase", 5, 3), ("refund", 9, 4)], [0]),
    ([("purchase", 0, 1), ("refund", 0, 1)], []),
    ([("purchase", 0, None), ("refund", 1, None)], []),
    ([("purchase", 0, 1), ("purchase", 7, -1)], []),
]


def test_a_refund_cancels_the_purchases_before_it_latest_first():
    rows = [
        {"user_id": str(n), "kind": kind, "time": at(minute), "quantity": quantity}
        for n, (trade, _) in enumerate(TRADES)
        for kind, minute, quantity in trade
    ]
    others = [{"user_id": "bob"}, {"item_id": "cup"}, {"kind": "view", "time": at(1)}]
    prepared = run(events(*rows, *others))
    for n, (_, minutes) in enumerate(TRADES):
        assert [r[3] for r in left(prepared.dataset) if r[0] == str(n)] == minutes, TRADES[n]
    assert prepared.report.rows_out == sum(len(m) for _, m in TRADES) + len(others)
    (step,) = [s for s in prepared.report.steps if s.name == "refunds"]
    assert step.notes == {"refunds": 12, "purchases cancelled": 9, "cut": 2}


def humans(hours=40):
    """Forty people, each with a few views an hour at uneven pauses."""
    return [
        {
            "kind": "view",
            "user_id": f"h{p}",
            "item_id": f"i{(p * h) % 23}",
            "time": at(h * 60 + p + g),
        }
        for p in range(hours)
        for h, g in ((1, 0), (1, 0.7), (1, 3.1), (2, 0), (2, 9.4), (5, 2))
    ]


def test_a_machine_is_found_by_its_haste_and_loses_only_its_browsing():
    fast = [
        {"kind": "view", "user_id": "bot", "item_id": f"i{n % 3}", "time": at(n / 20 + n % 7 / 900)}
        for n in range(700)
    ]
    prepared = run(events(*humans(), *fast, {"user_id": "bot"}))
    (step,) = [s for s in prepared.report.steps if s.name == "bots"]
    assert step.examples == ({"actor": "bot"},)
    assert (step.removed, step.notes["too quick"], step.notes["too regular"]) == (700, 1, 1)
    assert [r[2] for r in left(prepared.dataset) if r[0] == "bot"] == ["purchase"]
    assert len(prepared.dataset.users) == 41
    kept = run(events(*humans(), *fast), settings=PrepareSettings(drop_bots=False))
    assert kept.report.rows_out == len(humans()) + 700


def test_a_machine_is_found_by_how_much_it_sees():
    wide = [
        {"kind": "view", "user_id": "bot", "item_id": f"w{n}", "time": at(n**1.5 * 7 % 50)}
        for n in range(400)
    ]
    prepared = run(events(*humans(), *wide))
    assert prepared.report.removed("bots") == 400


def test_a_machine_is_found_by_its_even_pauses():
    even = [
        {"kind": "view", "user_id": "bot", "item_id": f"i{n % 5}", "time": at(n * 10 + n % 2)}
        for n in range(150)
    ]
    uneven = [
        {"kind": "view", "user_id": "fan", "item_id": f"i{n % 5}", "time": at(n * 10 + n * n % 9)}
        for n in range(150)
    ]
    prepared = run(events(*humans(), *even, *uneven))
    assert prepared.report.removed("bots") == 150
    assert "fan" in prepared.dataset.users


def test_buyers_in_bulk_are_customers():
    lines = [{"user_id": "wholesale", "item_id": f"i{n}", "quantity": 500} for n in range(900)]
    retail = [{"user_id": f"h{n}", "quantity": 1 + n % 3} for n in range(40)]
    prepared = run(events(*humans(), *lines, *retail))
    assert prepared.report.rows_out == len(humans()) + 900 + 40
    (step,) = [s for s in prepared.report.steps if s.name == "bulk buyers"]
    assert (step.removed, step.notes) == (0, {"buyers": 1, "% of units": 100})
    of = prepared.dataset.column("weight")[
        prepared.dataset.interactions["kind"].to_numpy() == "purchase"
    ]
    assert of.max() == of.min()


def test_sessions_are_baskets_or_visits():
    rows = [
        {"kind": "view", "item_id": "a", "time": at(0)},
        {"kind": "view", "item_id": "b", "time": at(29)},
        {"kind": "view", "item_id": "c", "time": at(60)},
        {"item_id": "c", "time": at(61), "order_id": "o1"},
        {"item_id": "d", "time": at(61), "order_id": "o1"},
        {"item_id": "d", "time": at(62), "order_id": "o2"},
        {"item_id": "e", "time": at(200), "order_id": "o2"},
        {"kind": "view", "item_id": "f", "time": at(201), "session_id": "s1"},
        {"kind": "view", "item_id": "g", "time": at(202), "session_id": "s2"},
        {"user_id": "bob", "item_id": "a", "time": at(0)},
    ]
    prepared = run(events(*rows))
    found = prepared.dataset.column("session").tolist()
    assert found == [0, 0, 1, 1, 1, 2, 2, 2, 3, 4]
    assert prepared.report.sessions == 5


def test_weights_halve_and_are_taken_at_the_last_event():
    rows = [{"time": at(days=d), "item_id": str(d)} for d in (0, 30, 60)]
    settings = PrepareSettings(half_life_days=30)
    assert run(events(*rows), settings=settings).dataset.column("weight").tolist() == [
        1.25, 2.5, 5.0,
    ]  # fmt: skip


def test_k_core_is_reported():
    rows = [{"user_id": u, "item_id": i} for u in "ab" for i in "xy"] + [{"user_id": "c"}]
    prepared = run(events(*rows), settings=PrepareSettings(user_core=2, item_core=2))
    assert prepared.report.removed("k-core") == 1
    assert prepared.dataset.shape == (2, 2)


def test_every_source_gives_the_same(tmp_path):
    table = events(*humans(), {"kind": "refund"})
    pq.write_table(table, tmp_path / "events.parquet")
    ways = [table, iter(table.to_batches(max_chunksize=7)), tmp_path / "events.parquet",
            str(tmp_path / "events.parquet")]  # fmt: skip
    assert len({run(way).dataset.fingerprint for way in ways}) == 1


def test_nothing_comes_of_nothing():
    prepared = run(events())
    assert prepared.dataset.shape == (0, 0)
    assert prepared.report.rows_in == 0
    assert run(iter(())).dataset.shape == (0, 0)


def test_naive_times_are_utc_and_dictionaries_are_read():
    table = events({}).set_column(
        1, "time", pa.array([at().replace(tzinfo=None)], pa.timestamp("us"))
    )
    table = table.set_column(0, "kind", table["kind"].dictionary_encode())
    assert left(run(table).dataset) == [("ann", "lamp", "purchase", 0.0)]


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(DataError, match=r"x\.parquet"):
        prepare(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="item_id") as caught:
        prepare(pa.table({"itemid": ["a"], "user_id": ["b"]}))
    assert "itemid" in caught.value.hint


def test_a_store_that_holds_nothing_is_prepared_into_nothing(tmp_path: Path) -> None:
    settings = Settings(store=StoreSettings(folder=tmp_path))
    store = open_store(settings.store)
    try:
        prepared = prepare_store(store, settings)
    finally:
        store.close()
    assert prepared.dataset.shape == (0, 0)
    assert prepared.report.balanced

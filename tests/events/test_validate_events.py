"""The rule set for events: each rule by example, and never an exception for any input."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.events.validate import REASONS, Checked, check
from endcap.schema.settings import EventSettings
from endcap.schema.tables import EVENTS, QUARANTINE

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GOOD = {"user_id": "u", "item_id": "i", "kind": "view", "time": "2026-01-01T00:00:00Z"}


def judge(*rows: dict[str, Any], live: bool = False, rules: EventSettings | None = None) -> Checked:
    checked = check(rows, now=NOW, settings=rules, live=live, source="here")
    assert checked.events.num_rows + checked.quarantine.num_rows == len(rows)
    assert checked.quarantine.num_rows == len(checked.errors)
    assert checked.events.schema == EVENTS
    assert checked.quarantine.schema == QUARANTINE
    checked.events.validate(full=True)
    assert {error.reason for error in checked.errors} <= set(REASONS)
    return checked


def reason(row: dict[str, Any], **options: Any) -> str:
    checked = judge(row, **options)
    return checked.errors[0].reason if checked.errors else "good"


def good(row: dict[str, Any], **options: Any) -> dict[str, Any]:
    checked = judge(row, **options)
    assert not checked.errors
    return checked.events.to_pylist()[0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"user_id": "null"}, "placeholder-id"),
        ({"user_id": "Undefined"}, "placeholder-id"),
        ({"user_id": "[object Object]"}, "placeholder-id"),
        ({"user_id": "anonymous"}, "placeholder-id"),
        ({"item_id": "NaN"}, "placeholder-id"),
        ({"event_id": "null"}, "placeholder-id"),
        ({"item_id": "anonymous"}, "good"),  # a shop may sell a mask of that name
        ({"user_id": "0"}, "good"),
        ({"user_id": None}, "missing-actor"),
        ({"user_id": "  "}, "missing-actor"),
        ({"user_id": "", "visitor_id": "v"}, "good"),
        ({"user_id": math.nan, "visitor_id": "v"}, "good"),
        ({"user_id": True}, "wrong-type"),
        ({"user_id": ["u"]}, "wrong-type"),
        ({"user_id": 1.5}, "wrong-type"),
        ({"user_id": b"u"}, "wrong-type"),
        ({"user_id": "x" * 257}, "too-long"),
        ({"user_id": 10**5000}, "too-long"),
        ({"user_id": "a\0b"}, "bad-text"),
        ({"user_id": "a\ud800b"}, "bad-text"),
        ({"item_id": None}, "missing-item"),
        ({"item_id": None, "kind": "search"}, "good"),
        ({"kind": None}, "missing-kind"),
        ({"kind": " VIEW "}, "good"),
        ({"kind": "veiw"}, "unknown-kind"),
        ({"kind": 7}, "unknown-kind"),
        ({"kind": "rating"}, "missing-value"),
        ({"kind": "rating", "value": "4.5"}, "good"),
        ({"time": None}, "missing-time"),
        ({"time": "Feb 30"}, "bad-time"),
        ({"time": "2026-02-30"}, "bad-time"),
        ({"time": "0000-00-00"}, "bad-time"),
        ({"time": "1969-12-31T23:59:59Z"}, "bad-time"),
        ({"time": "9999-12-31T23:59:59Z"}, "future-time"),
        ({"time": 10**30}, "bad-time"),
        ({"time": math.inf}, "bad-time"),
        ({"time": False}, "wrong-type"),
        ({"time": "2026-01-03T03:04:05Z"}, "good"),  # a day ahead, not more
        ({"time": "2026-01-03T03:04:06Z"}, "future-time"),
        ({"time": "1971-01-01"}, "good"),
        ({"price": "-0.01"}, "negative-price"),
        ({"price": "-0"}, "good"),
        ({"price": "NaN"}, "not-finite"),
        ({"price": math.inf}, "not-finite"),
        ({"price": 1e308}, "bad-number"),
        ({"price": "1e4000"}, "bad-number"),
        ({"price": "12,50"}, "bad-number"),
        ({"price": "１２"}, "bad-number"),
        ({"price": "=1+1"}, "bad-number"),
        ({"price": 10**14}, "bad-number"),
        ({"price": {"a": 1}}, "wrong-type"),
        ({"quantity": 0}, "bad-quantity"),
        ({"quantity": -3}, "bad-quantity"),
        ({"quantity": 1.5}, "bad-quantity"),
        ({"quantity": 2**63}, "bad-quantity"),
        ({"quantity": "3.0"}, "good"),
        ({"quantity": 2**53 + 1}, "bad-quantity"),
        ({"quantity": 10**400}, "bad-number"),
        ({"value": math.nan}, "not-finite"),
        ({"value": "1e999"}, "bad-number"),
        ({"value": "-3.5"}, "good"),
        ({"position": 2**31}, "bad-number"),
        ({"position": 0}, "good"),
        ({"propensity": 0}, "bad-number"),
        ({"propensity": 1}, "good"),
        ({"propensity": 1.01}, "bad-number"),
        ({"currency": "pounds"}, "bad-currency"),
        ({"currency": "gbp"}, "good"),
        ({"query": "x" * 5000}, "too-long"),
        ({"query": "'; DROP TABLE events; --"}, "good"),
        ({"consent": True}, "good"),
        ({"properties": "[1]"}, "wrong-type"),
        ({"properties": "{"}, "bad-json"),
        ({"properties": {"a": "\ud800"}}, "bad-text"),
        ({"properties": {"a": object()}}, "wrong-type"),
        ({"properties": {"text": "😀" * 40_000}}, "too-large"),
        ({"colour": "red"}, "good"),
    ],
)
def test_a_rule(change: dict[str, Any], expected: str) -> None:
    assert reason({**GOOD, **change}) == expected


def test_a_bad_row_keeps_everything_and_says_where_and_why() -> None:
    row = {**GOOD, "event_id": "e9", "kind": "purchse", "extra": {"深": [1]}}
    checked = check([GOOD, row], now=NOW, live=False, source="shop.csv", lines=[7, 9])
    (error,) = checked.errors
    assert (error.index, error.event_id, error.field, error.reason) == (
        1,
        "e9",
        "kind",
        "unknown-kind",
    )
    assert "'purchse'" in error.message
    assert "Did you mean 'purchase'?" in error.message
    (kept,) = checked.quarantine.to_pylist()
    assert (kept["source"], kept["line"], kept["table"]) == ("shop.csv", 9, "events")
    assert (kept["reason"], kept["field"], kept["received"]) == ("unknown-kind", "kind", NOW)
    assert kept["payload"] == (
        '{"user_id":"u","item_id":"i","kind":"purchse","time":"2026-01-01T00:00:00Z",'
        '"event_id":"e9","extra":{"深":[1]}}'
    )


def test_the_payload_is_what_arrived_where_a_dialect_mapped_it() -> None:
    checked = check(
        [{"kind": "view"}], now=NOW, live=False, source="f", payloads=["u1\ti1\0\ud800"]
    )
    assert checked.quarantine["payload"].to_pylist() == ["u1\ti1\\x00\\ud800"]


def test_only_the_first_fault_of_a_row_is_told() -> None:
    checked = judge({**GOOD, "price": -1, "quantity": 0, "kind": "x"})
    assert [error.reason for error in checked.errors] == ["unknown-kind"]


def test_values_are_typed_exactly() -> None:
    row = good(
        {
            **{"user_id": 7, "visitor_id": 12345.0, "item_id": "茶壶", "kind": "Purchase"},
            **{"time": "2026-01-01T08:00:00+08:00", "price": 0.1, "quantity": "2", "value": -0.0},
            **{"currency": "cny", "position": 3, "colour": "紫", "size": ""},
        }
    )
    assert row["user_id"] == "7"
    assert row["visitor_id"] == "12345"
    assert row["time"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert row["price"] == Decimal("0.1000")
    assert row["quantity"] == 2
    assert math.copysign(1, row["value"]) == 1
    assert row["currency"] == "CNY"
    assert row["properties"] == '{"colour":"紫"}'
    assert row["received"] == NOW


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01",
        "2026-01-01 00:00:00",
        "2026-01-01T08:00:00+08:00",
        "2026-01-01 00:00:00 UTC",
        "2026/01/01 00:00:00",
        "20260101",
        "2025-12-31T23:59:60Z",  # a leap second is the next minute's beginning
        "1767225600",
        "1767225600.0",
        "1767225600000",
        "1767225600000000",
        "1767225600000000000",
        20260101,
        1767225600,
        1767225600.0,
        1767225600000,
        Decimal("1767225600"),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1),
        datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=8))),
        datetime(2026, 1, 1).date(),
    ],
    ids=repr,
)
def test_times_as_shops_write_them(text: Any) -> None:
    assert good({**GOOD, "time": text})["time"] == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_mix_of_types_in_one_column_is_judged_cell_by_cell() -> None:
    checked = judge(
        {**GOOD, "quantity": 1},
        {**GOOD, "quantity": True},
        {**GOOD, "quantity": 1.0},
        {**GOOD, "quantity": "1"},
    )
    assert [error.index for error in checked.errors] == [1]
    assert checked.events["quantity"].to_pylist() == [1, 1, 1]


def test_equal_values_of_different_types_stay_apart_among_the_unknown_fields() -> None:
    checked = judge({**GOOD, "flag": True}, {**GOOD, "flag": 1}, {**GOOD, "flag": 1.0}, GOOD)
    texts = ['{"flag":true}', '{"flag":1}', '{"flag":1.0}', None]
    assert checked.events["properties"].to_pylist() == texts
    same = judge({**GOOD, "city": "杭州", "size": 2}, {**GOOD, "city": "杭州", "size": 2}, GOOD)
    texts = ['{"city":"杭州","size":2}'] * 2
    assert same.events["properties"].to_pylist() == [*texts, None]


def test_unknown_fields_never_replace_what_is_in_properties() -> None:
    row = good({**GOOD, "colour": "red", "size": 1, "properties": '{"colour":"blue"}'})
    assert row["properties"] == '{"_colour":"red","colour":"blue","size":1}'
    assert reason({**GOOD, "colour": "red", "properties": "{"}) == "good"  # kept as it came
    assert good({**GOOD, "colour": "red", "properties": "{"})["properties"] == (
        '{"colour":"red","properties":"{"}'
    )


def test_own_kinds_come_from_the_settings() -> None:
    own = EventSettings(kinds={"share": 2.0, "login": 0.0})
    assert reason({**GOOD, "kind": "share"}, rules=own) == "good"
    assert reason({**GOOD, "kind": "share", "item_id": None}, rules=own) == "missing-item"
    assert reason({**GOOD, "kind": "login", "item_id": None}, rules=own) == "good"


# Clocks (rows 10 and 11 of the promises)


@pytest.mark.parametrize("years", [-1, 1])
def test_a_clock_that_is_a_year_off_is_corrected(years: int) -> None:
    skew = timedelta(days=365 * years)
    happened, sent = NOW - timedelta(seconds=90) + skew, NOW + skew
    row = good({**GOOD, "time": happened.isoformat(), "sent_at": sent.isoformat()}, live=True)
    assert row["time"] == NOW - timedelta(seconds=90)
    assert row["original"] == happened
    assert row["sent_at"] == sent
    assert row["received"] == NOW


def test_without_sent_at_the_time_is_taken_as_it_came() -> None:
    row = good(GOOD, live=True)
    assert row["time"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert row["original"] is None


def test_live_events_may_be_a_month_old_and_imports_any_age() -> None:
    month = NOW - timedelta(days=30)
    assert reason({**GOOD, "time": month}, live=True) == "good"
    assert reason({**GOOD, "time": month - timedelta(microseconds=1)}, live=True) == "too-old"
    assert reason({**GOOD, "time": "1995-01-01"}) == "good"


def test_a_correction_that_leaves_the_calendar_is_refused() -> None:
    row = {**GOOD, "time": "1970-01-01", "sent_at": "9999-12-31"}
    assert reason(row, live=True) == "too-old"
    row = {**GOOD, "time": "9999-12-31", "sent_at": "1970-01-01"}
    assert reason(row, live=True) == "future-time"


def test_a_live_event_without_time_happened_now() -> None:
    row = {key: value for key, value in GOOD.items() if key != "time"}
    assert good(row, live=True)["time"] == NOW
    assert reason(row) == "missing-time"


def test_a_client_cannot_say_when_we_received_its_event() -> None:
    lie = {**GOOD, "received": "2020-01-01", "original": "2020-01-01"}
    row = good(lie, live=True)
    assert row["received"] == NOW
    assert row["original"] is None
    assert row["properties"] == '{"original":"2020-01-01","received":"2020-01-01"}'
    assert good(lie)["received"] == datetime(2020, 1, 1, tzinfo=UTC)


def test_zero_is_no_user_of_a_browser() -> None:
    assert reason({**GOOD, "user_id": "0"}, live=True) == "placeholder-id"
    assert reason({**GOOD, "item_id": "0"}, live=True) == "good"


def test_our_own_export_comes_back_as_it_was() -> None:
    sent = {**GOOD, "time": NOW - timedelta(hours=1), "sent_at": NOW - timedelta(minutes=59)}
    first = judge(sent, {**GOOD, "colour": "red"}, live=True).events
    again = check(first.to_pylist(), now=NOW + timedelta(days=9), live=False, source="export")
    assert again.events.equals(first)


# Ids from content


def test_a_derived_id_depends_on_the_content_alone() -> None:
    rows = [{**GOOD, "quantity": n % 3 + 1, "item_id": f"i{n}"} for n in range(7)]
    ids = judge(*rows).events["event_id"].to_pylist()
    assert len(set(ids)) == 7
    alone = [judge({**row, "note": None}).events["event_id"][0].as_py() for row in reversed(rows)]
    assert alone == ids[::-1]
    later = check(rows, now=NOW + timedelta(days=1), live=True, source="elsewhere")
    assert later.events["event_id"].to_pylist() == ids


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "u2"}, {"item_id": "i2"}, {"kind": "click"}, {"time": "2026-01-01T00:00:01Z"},
        {"price": 1}, {"quantity": 2}, {"order_id": "o"}, {"note": "x"}, {"position": 1},
    ],
)  # fmt: skip
def test_a_derived_id_changes_with_each_field(change: dict[str, Any]) -> None:
    assert good({**GOOD, **change})["event_id"] != good(GOOD)["event_id"]


def test_a_retry_has_the_same_derived_id_though_it_is_sent_later() -> None:
    when = NOW - timedelta(hours=1)
    first = good({**GOOD, "time": when, "sent_at": NOW}, live=True)
    retry = {**GOOD, "time": when, "sent_at": NOW + timedelta(minutes=5)}
    second = check([retry], now=NOW + timedelta(minutes=6), live=True, source="x").events
    assert second["event_id"][0].as_py() == first["event_id"]


def test_derived_ids_stay_the_same_over_releases() -> None:
    """Else a second import with a newer version would store everything again."""
    assert good(GOOD)["event_id"] == "490dc875edc1d21452b163c2c1d222ee"


def test_nothing_gives_nothing() -> None:
    assert judge().events.num_rows == 0


# Whatever comes

NASTY = st.sampled_from(
    [
        "", None, math.nan, math.inf, -math.inf, 1e308, -0.0, 2**53 + 1, 2**63, -(2**63), 10**5000,
        "\0", "\ud800", "é", "e\u0301", "\u200b", "\u202egnp", "😀" * 2560, "../../etc", "%00",
        "'; DROP TABLE events;--", "{{7*7}}", "=cmd|' /C calc'!A0", "<svg onload=alert(1)>",
        "javascript:alert(1)", "null", "undefined", "anonymous", "0", "[object Object]",
        "[" * 10_000, '{"a":' * 10_000, "\ufeff", "0000-00-00", "9999-12-31", "2026-02-30",
        "2016-12-31T23:59:60Z", "2026-01-01T00:00:00", -1, 0, True, [], {}, [[[]]], {"a": {}},
        b"\xff", object(), 1j, Decimal("NaN"), Decimal("1e999999"), datetime.max, datetime.min,
        "1" * 5000, "-", ".", "+5", "٣",
    ]
)  # fmt: skip
ANY = NASTY | st.text() | st.integers() | st.floats() | st.dictionaries(st.text(), st.integers())
FIELDS = st.sampled_from([*EVENTS.names, "colour", "", "\ud800", "UserID"])
ROWS = st.lists(
    st.tuples(st.booleans(), st.dictionaries(FIELDS, ANY, max_size=8)).map(
        lambda pair: {**GOOD, **pair[1]} if pair[0] else pair[1]
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=80)
@given(ROWS, st.booleans())
def test_nothing_that_comes_raises_or_gets_lost(rows: list[dict[str, Any]], live: bool) -> None:
    checked = judge(*rows, live=live)
    together = checked.events["event_id"].to_pylist()
    assert all(together)
    single = [judge(row, live=live) for row in rows]
    assert [e.reason for e in checked.errors] == [e.reason for one in single for e in one.errors]
    assert together == [i for one in single for i in one.events["event_id"].to_pylist()]


@settings(deadline=None, max_examples=80)
@given(ROWS, st.randoms())
def test_order_does_not_matter(rows: list[dict[str, Any]], random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = judge(*rows), judge(*shuffled)
    assert sorted(map(str, one.events.to_pylist())) == sorted(map(str, other.events.to_pylist()))
    assert sorted(one.quarantine["payload_hash"].to_pylist()) == sorted(
        other.quarantine["payload_hash"].to_pylist()
    )

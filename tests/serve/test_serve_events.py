"""Events over HTTP: a bad one never sinks its batch, nothing disappears, the next answer knows."""

import json
from pathlib import Path
from typing import Any

import pytest
from served_shop import Served

HERE = Path(__file__).parent
JSON = {"content-type": "application/json"}


def view(item: str, user: str = "u1", **more: Any) -> dict[str, Any]:
    return {"kind": "view", "user_id": user, "item_id": item, **more}


def test_one_event_is_stored_and_repeating_it_is_free(shop: Served) -> None:
    event = view("a", event_id="e1")
    first = shop.client.post("/v1/events", json=event)
    second = shop.client.post("/v1/events", json=event)
    assert first.status_code == second.status_code == 202
    assert first.json()["stored"] == 1
    assert (second.json()["stored"], second.json()["duplicate"]) == (0, 1)
    assert shop.runtime.store.log.count() == 1


def test_row_7_one_bad_event_in_a_hundred_is_the_only_one_not_stored(shop: Served) -> None:
    events = [view(f"i{n}", event_id=f"e{n}") for n in range(100)]
    events[41] = {"kind": "purchse", "user_id": "u1", "item_id": "i41", "event_id": "e41"}
    answer = shop.post(*events)
    assert answer.status_code == 202
    golden = json.loads((HERE / "golden_one_bad_event.json").read_text())
    assert answer.json() == golden
    assert shop.runtime.store.quarantine.reasons() == {"unknown-kind": 1}
    (kept,) = shop.runtime.store.quarantine.rows().to_pylist()
    assert json.loads(kept["payload"]) == events[41]
    assert (kept["source"], kept["line"]) == ("POST /v1/events/batch", 42)


BROKEN = [
    (b"3", "wrong-type"),
    (b"null", "wrong-type"),
    (b'"text"', "wrong-type"),
    (b"[]", "wrong-type"),
    (b'{"kind": "view", "user_id": "u", "item_id": "\xff\xfe"}', "bad-json"),
    (b'{"kind": "view", "user_id": "u", "item_id": "a", "value": 1e999}', "not-finite"),
]


@pytest.mark.parametrize(("raw", "reason"), BROKEN)
def test_an_event_that_is_broken_in_its_bytes_does_not_sink_the_others(
    shop: Served, raw: bytes, reason: str
) -> None:
    good = json.dumps(view("a", event_id="good")).encode()
    body = b'{"events": [' + raw + b"," + good + b"]}"
    answer = shop.client.post("/v1/events/batch", content=body, headers=JSON)
    assert answer.status_code == 202
    receipt = answer.json()
    assert (receipt["stored"], receipt["quarantined"]) == (1, 1)
    assert receipt["errors"][0]["index"] == 0
    assert receipt["errors"][0]["code"] == reason


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b'"\\ud800"'])
def test_what_programs_write_but_json_forbids_is_a_matter_of_its_event(
    shop: Served, value: bytes
) -> None:
    body = b'{"events": [{"kind":"rating","user_id":"u","item_id":"a","value":%s}, {"kind":"view",'
    body += b'"user_id":"u","item_id":"b"}]}'
    answer = shop.client.post("/v1/events/batch", content=body % value, headers=JSON)
    assert answer.status_code == 202, answer.text
    assert (answer.json()["stored"], answer.json()["quarantined"]) == (1, 1)


def test_a_huge_event_is_refused_and_said_so_and_the_others_are_stored(shop: Served) -> None:
    huge = view("a", event_id="huge", properties={"x": "y" * 40_000})
    receipt = shop.post(huge, view("b", event_id="small")).json()
    assert (receipt["stored"], receipt["rejected"], receipt["quarantined"]) == (1, 1, 0)
    assert receipt["errors"][0]["code"] == "row-too-large"
    alone = shop.client.post("/v1/events", json=huge)
    assert (alone.status_code, alone.json()["code"]) == (413, "row-too-large")


def test_the_sum_law_holds_in_the_metrics(shop: Served) -> None:
    shop.post(view("a", event_id="1"), view("a", event_id="1"), {"kind": "?"}, 7)
    shop.client.post("/v1/events", json=view("a", event_id="1"))
    counts = {
        name: shop.metric(f"endcap_events_{name}_total")
        for name in ("received", "stored", "duplicate", "rejected", "quarantined")
    }
    assert counts == {"received": 5, "stored": 1, "duplicate": 2, "rejected": 0, "quarantined": 2}


def test_the_next_answer_knows_of_the_event(shop: Served) -> None:
    shop.items({"item_id": "a", "title": "A"}, {"item_id": "b", "title": "B"})
    assert shop.client.get("/v1/users/u1/history").json()["events"] == []
    for n in range(20):
        event = {"kind": "purchase", "user_id": "u1", "item_id": f"i{n}", "event_id": f"p{n}"}
        shop.client.post("/v1/events", json=event)
        newest = shop.client.get("/v1/users/u1/history?limit=1").json()["events"]
        assert [e["item_id"] for e in newest] == [f"i{n}"]


def test_a_batch_with_sent_at_has_its_clock_corrected(shop: Served) -> None:
    """Row 11: a client whose clock is a year ahead is corrected to within two seconds."""
    body = {
        "sent_at": "2027-11-24T12:00:10Z",
        "events": [view("a", event_id="x", time="2027-11-24T12:00:00Z")],
    }
    shop.client.post("/v1/events/batch", json=body)
    (event,) = next(iter(shop.runtime.store.log.scan())).to_pylist()
    behind = (event["received"] - event["time"]).total_seconds()
    assert behind == pytest.approx(10, abs=2)
    assert event["original"].year == 2027


def test_without_the_correction_the_same_event_is_from_the_future(shop: Served) -> None:
    """The failing twin: the same event without `sent_at` is refused."""
    receipt = shop.post(view("a", time="2039-11-24T12:00:00Z")).json()
    assert receipt["errors"][0]["code"] == "future-time"


def test_a_visitor_becomes_the_user_from_the_next_request_on(shop: Served) -> None:
    shop.post({"kind": "view", "visitor_id": "v", "item_id": "a"})
    assert shop.client.get("/v1/users/u1/history").json()["events"] == []
    answer = shop.client.post("/v1/alias", json={"visitor_id": "v", "user_id": "u1"})
    assert answer.status_code == 200
    history = shop.client.get("/v1/users/u1/history").json()["events"]
    assert [e["item_id"] for e in history] == ["a"]
    shop.post({"kind": "view", "visitor_id": "v", "item_id": "b"})
    history = shop.client.get("/v1/users/u1/history").json()["events"]
    assert [e["item_id"] for e in history] == ["b", "a"]


@pytest.mark.parametrize("bad", ["null", "undefined", "[object Object]", "anonymous", "0", " "])
def test_nobody_becomes_a_placeholder(shop: Served, bad: str) -> None:
    answer = shop.client.post("/v1/alias", json={"visitor_id": "v", "user_id": bad})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "user_id"
    assert shop.runtime.store.aliases() == {}


def test_too_many_events_at_once_are_refused_whole(shop: Served) -> None:
    answer = shop.post(*[view("a")] * 1001)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-many-rows")
    assert shop.runtime.store.log.count() == 0


def test_a_large_batch_goes_the_same_way(shop: Served) -> None:
    answer = shop.post(*[view(f"i{n}", user=f"u{n % 7}", event_id=f"e{n}") for n in range(1000)])
    assert answer.json()["stored"] == 1000
    assert len(shop.client.get("/v1/users/u3/history?limit=1000").json()["events"]) == 143


def test_an_empty_batch_is_an_empty_receipt(shop: Served) -> None:
    assert shop.post().json()["received"] == 0

"""Each bad input in each field of each route: an answer that says so, and a server that goes on."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from served_shop import Served, served

from endcap.schema.settings import Settings
from endcap.schema.tables import EVENTS, ITEMS
from endcap.serve.http.app import create_app

RAW: dict[str, bytes] = {
    "nan": b"NaN",
    "infinity": b"Infinity",
    "1e308": b"1e308",
    "1e999": b"1e999",
    "minus zero": b"-0.0",
    "2^53+1": b"9007199254740993",
    "2^63": b"9223372036854775808",
    "a thousand digits": b"1" * 1000,
    "null": b"null",
    "true": b"true",
    "list": b"[1]",
    "object": b'{"a": 1}',
    "half a character": b'"\\ud800"',
    "bytes that are no text": b'"\xff\xfe"',
    "depth": b"[" * 10_000 + b"]" * 10_000,
}
TEXTS: dict[str, str] = {
    "empty": "",
    "blank": " ",
    "nul": "a\0b",
    "nfd": "e\u0301",
    "zero width": "a\u200bb",
    "right to left": "\u202egnp.exe",
    "10 KB of emoji": "🙂" * 2560,
    "path": "../../etc/passwd",
    "encoded nul": "%00",
    "sql": "'; DROP TABLE events; --",
    "template": "{{7*7}}",
    "formula": "=cmd|' /C calc'!A0",
    "svg": "<svg onload=alert(1)>",
    "script": "javascript:alert(1)",
    "placeholder null": "null",
    "placeholder undefined": "undefined",
    "placeholder anonymous": "anonymous",
    "placeholder 0": "0",
    "placeholder object": "[object Object]",
    "year 0": "0000-01-01T00:00:00Z",
    "year 9999": "9999-12-31T23:59:59Z",
    "30 February": "2026-02-30T00:00:00Z",
    "leap second": "2016-12-31T23:59:60Z",
    "no zone": "2026-11-24T12:00:00",
    "negative": "-1",
    "zero": "0",
    "byte order mark": "\ufeffa",
}
VALUES = RAW | {name: msgspec.json.encode(text) for name, text in TEXTS.items()}
EVENT = {"event_id": "e", "kind": "rating", "user_id": "u", "item_id": "a", "value": 3}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("shop")
    with served(create_app(Settings.parse({"store": {"folder": folder}}))) as shop:
        shop.items({"item_id": "a", "title": "A"}, {"item_id": "b"})
        yield shop


def row(fields: dict[str, Any], name: str, value: bytes) -> bytes:
    """Return a JSON object with `value` in the field `name`, byte for byte."""
    others = msgspec.json.encode({k: v for k, v in fields.items() if k != name})
    return b"{%s:%s,%s" % (msgspec.json.encode(name), value, others[1:])


def send(shop: Served, method: str, path: str, content: bytes) -> Any:
    headers = {"content-type": "application/json"}
    return shop.client.request(method, path, content=content, headers=headers)


def balanced(receipt: dict[str, Any]) -> bool:
    parts = ("stored", "duplicate", "rejected", "quarantined")
    return bool(receipt["received"] == sum(receipt[part] for part in parts))


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_in_every_field_of_an_event(shop: Served, value: bytes) -> None:
    fields = [name for name in EVENTS.names if name not in {"received", "original"}]
    for name in [*fields, "something_new"]:
        bad = row(EVENT, name, value)
        good = msgspec.json.encode({**EVENT, "event_id": f"{name} {hash(value)}"})
        answer = send(shop, "POST", "/v1/events/batch", b'{"events":[%s,%s]}' % (bad, good))
        if b"[[[[" in value:
            assert answer.status_code in {202, 400}, (name, answer.text)
            continue
        assert answer.status_code == 202, (name, answer.text)
        receipt = answer.json()
        assert balanced(receipt)
        assert receipt["received"] == 2
        assert all(error["index"] == 0 for error in receipt["errors"]), (name, answer.text)
    assert shop.slate(user_id="u")["items"]


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_in_every_field_of_an_item(shop: Served, value: bytes) -> None:
    for name in [*ITEMS.names, "something_new"]:
        bad = row({"item_id": "x", "title": "X"}, name, value)
        content = b'{"items":[%s,{"item_id":"b"}]}' % bad
        answer = send(shop, "PUT", "/v1/items", content)
        if b"[[[[" in value:
            assert answer.status_code in {200, 400}, (name, answer.text)
            continue
        assert answer.status_code == 200, (name, answer.text)
        assert balanced(answer.json())
        assert shop.client.get("/v1/items?limit=1000").status_code == 200
    assert {"b"} <= {item["item_id"] for item in shop.slate(k=500)["items"]}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_in_every_field_of_a_question(shop: Served, value: bytes) -> None:
    names = ("user_id", "visitor_id", "placement", "k", "context_items", "exclude", "seed", "lang")
    for name in names:
        answer = send(shop, "POST", "/v1/recommendations", row({"user_id": "u"}, name, value))
        assert answer.status_code in {200, 400, 422}, (name, answer.text)
        if answer.status_code == 422:
            where = answer.json()["errors"][0]["field"]
            assert where.startswith(name) or value == b"1e999", answer.text


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_in_every_parameter_and_path(shop: Served, text: str) -> None:
    for name in ("user_id", "visitor_id", "placement", "k", "context_items", "seed", "lang"):
        answer = shop.client.get("/v1/recommendations", params={name: text})
        assert answer.status_code in {200, 422}, (name, answer.text)
    part = quote(text, safe="") or "%20"
    for path in (f"/v1/items/{part}", f"/v1/items/{part}/similar", f"/v1/users/{part}/history"):
        assert shop.client.get(path).status_code in {200, 404}, path
    for headers in ({"Idempotency-Key": text}, {"X-Request-Id": text}):
        raw = {name: value.encode() for name, value in headers.items()}
        if text.strip() == text and "\0" not in text:  # others never leave an HTTP client
            answer = shop.client.post("/v1/events", json=EVENT, headers=raw)
            assert answer.status_code in {202, 422}, answer.text


def test_a_key_that_comes_twice_in_an_object_is_taken_once(shop: Served) -> None:
    body = b'{"kind":"view","user_id":"u","item_id":"a","item_id":"b","event_id":"twice"}'
    assert send(shop, "POST", "/v1/events", body).json()["stored"] == 1
    (event,) = [
        e
        for batch in shop.runtime.store.log.scan(kinds=["view"])
        for e in batch.to_pylist()
        if e["event_id"] == "twice"
    ]
    assert event["item_id"] == "b"


def test_a_byte_order_mark_before_a_batch_does_no_harm(shop: Served) -> None:
    answer = send(shop, "POST", "/v1/events/batch", b'\xef\xbb\xbf{"events":[3]}')
    assert (answer.status_code, answer.json()["quarantined"]) == (202, 1)


def test_nothing_of_all_this_was_lost(shop: Served) -> None:
    counts = {
        name: shop.metric(f"endcap_events_{name}_total")
        for name in ("received", "stored", "duplicate", "rejected", "quarantined")
    }
    received = counts.pop("received")
    assert received == sum(counts.values())
    shop.runtime.impressions.flush()
    impressions = sum(b.num_rows for b in shop.runtime.store.log.scan(kinds=["impression"]))
    assert shop.runtime.store.log.count() - impressions == counts["stored"]

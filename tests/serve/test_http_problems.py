"""Every error is a problem: stable code, request id, a next step, and never a traceback."""

import socket
from typing import Any

import pytest
from served_shop import Served

PROBLEM = "application/problem+json"
JSON = {"content-type": "application/json"}


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"] == f"urn:endcap:error:{code}"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return body


def test_an_unknown_route(shop: Served) -> None:
    assert "openapi" in problem(shop.client.get("/v2/x"), 404, "not-found")["hint"]


def test_a_wrong_method_names_all_right_ones(shop: Served) -> None:
    answer = shop.client.delete("/v1/items")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, PATCH, POST, PUT"


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/batch", "/v1/recommendations"])
@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({}, b"{}", 415, "not-json"),
        ({"content-type": "text/plain"}, b"{}", 415, "not-json"),
        ({**JSON, "content-encoding": "gzip"}, b"\x1f\x8b", 415, "encoded"),
        (JSON, b"", 400, "no-json"),
        (JSON, b"{", 400, "no-json"),
        (JSON, b"\xff", 400, "no-json"),
        (JSON, b" " * (1 << 20) + b"{}", 413, "body-too-large"),
    ],
)
def test_bodies_that_cannot_be_read(
    shop: Served, path: str, headers: dict[str, str], content: bytes, status: int, code: str
) -> None:
    problem(shop.client.post(path, content=content, headers=headers), status, code)


DEEP = b"[" * 10_000 + b"]" * 10_000


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/batch", "/v1/recommendations"])
@pytest.mark.parametrize("content", [DEEP, b'{"events": %s}' % DEEP, b'{"kind": %s}' % DEEP])
def test_deep_nesting_is_refused_and_harms_nobody(shop: Served, path: str, content: bytes) -> None:
    answer = shop.client.post(path, content=content, headers=JSON)
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == PROBLEM


def test_a_body_of_unknown_length_is_cut_at_the_limit(shop: Served) -> None:
    endless = (b"x" * 65_536 for _ in range(64))
    answer = shop.client.post("/v1/events", content=endless, headers=JSON)
    problem(answer, 413, "body-too-large")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("k=0", "k"),
        ("k=501", "k"),
        ("k=1e9", "k"),
        ("k=ten", "k"),
        ("k=1&k=2", "k"),
        ("seed=-1", "seed"),
        ("lang=klingon", "lang"),
        ("user_id=", "user_id"),
        ("user_id=" + "x" * 257, "user_id"),
    ],
)
def test_a_bad_parameter_is_named(shop: Served, query: str, field: str) -> None:
    body = problem(shop.client.get(f"/v1/recommendations?{query}"), 422, "invalid-request")
    assert body["errors"][0]["field"] == field


def test_a_misspelt_parameter_gets_the_right_one_named(shop: Served) -> None:
    body = problem(shop.client.get("/v1/recommendations?userid=1"), 422, "invalid-request")
    assert body["hint"] == "Did you mean 'user_id'?"
    body = problem(
        shop.client.post("/v1/recommendations", json={"user": "1"}), 422, "invalid-request"
    )
    assert body["errors"][0]["field"] == "user"


@pytest.mark.parametrize(
    "body", [[], 3, {}, {"events": {}}, {"events": [], "batch": []}, {"event": []}]
)
def test_a_batch_of_another_shape(shop: Served, body: Any) -> None:
    problem(shop.client.post("/v1/events/batch", json=body), 422, "invalid-request")


def test_the_callers_request_id_is_kept_when_it_is_a_sane_one(shop: Served) -> None:
    given = shop.client.get("/livez", headers={"X-Request-Id": "shop-1.2:3"})
    assert given.headers["x-request-id"] == "shop-1.2:3"
    for odd in ("a b", "x" * 129, "<svg>"):
        answer = shop.client.get("/livez", headers={"X-Request-Id": odd})
        assert answer.headers["x-request-id"] != odd


def test_a_bug_of_ours_tells_nothing_of_our_insides(shop: Served) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("secret of the house")

    shop.runtime.recommender.current.recommend = broken
    answer = shop.client.get("/v1/recommendations")
    problem(answer, 500, "internal")
    assert "secret" not in answer.text


def test_a_client_that_leaves_in_the_middle_of_its_body_harms_nobody(shop: Served) -> None:
    address = (shop.client.base_url.host, shop.client.base_url.port)
    for _ in range(3):
        with socket.create_connection(address) as line:
            line.sendall(
                b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                b"content-length: 100\r\n\r\n{"
            )
    assert shop.client.get("/livez").status_code == 200
    assert shop.runtime.store.log.count() == 0


def test_metrics_have_one_label_for_all_items(shop: Served) -> None:
    for n in range(5):
        shop.client.get(f"/v1/items/i{n}")
        shop.client.get(f"/nowhere/{n}")
    shop.client.request("PROPFIND", "/livez")
    told = shop.client.get("/metrics").text
    route = 'endcap_http_request_duration_seconds_count{method="%s",route="%s",status="4xx"} %s'
    assert route % ("GET", "/v1/items/{item_id}", "5.0") in told
    assert route % ("GET", "unmatched", "5.0") in told
    assert route % ("other", "/livez", "1.0") in told

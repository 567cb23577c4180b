"""The straight way answers what the application would have answered, layer by layer."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from served_shop import Served

from endcap.serve.http.straight import StraightWay

ASKED: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/v1/recommendations?user_id=u&k=2", None),
    ("POST", "/v1/recommendations", {"user_id": "u", "k": 2}),
    ("POST", "/v1/recommendations", {"user_id": "u", "k": "two"}),
    ("POST", "/v1/recommendations", {"user_id": "u", "filter": "price <"}),
    ("POST", "/v1/events", {"kind": "view", "visitor_id": "v", "item_id": "a", "event_id": "e"}),
    ("POST", "/v1/events", {"kind": "view"}),
    ("GET", "/v1/events", None),
    ("GET", "/v1/items/a", None),
    ("HEAD", "/readyz", None),
    ("OPTIONS", "/v1/events", None),
    ("GET", "/nowhere", None),
)
OF_ITS_OWN = {"date", "x-request-id", "content-length"}


@pytest.fixture
def shop(serve: Callable[..., Served]) -> Served:
    shop = serve()
    shop.items({"item_id": "a", "title": "Lamp"}, {"item_id": "b"})
    return shop


def _ask(shop: Served, method: str, path: str, body: Any) -> tuple[int, dict[str, str], Any]:
    answer = shop.client.request(method, path, json=body, headers={"x-request-id": "r"})
    headers = {k: v for k, v in answer.headers.items() if k not in OF_ITS_OWN}
    return answer.status_code, headers, _lasting(answer)


def _lasting(answer: httpx.Response) -> Any:
    """Return a body without what differs from one answer to the next."""
    if "json" not in answer.headers.get("content-type", ""):
        return answer.text
    told = answer.json() if answer.text else None
    for name in ("request_id", "generated_at", "duplicate", "stored"):
        (told or {}).pop(name, None)
    return told


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked[0]} {asked[1]}")
def test_both_ways_lead_to_the_same_answer(
    shop: Served, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, str, Any]
) -> None:
    straight = _ask(shop, *asked)
    monkeypatch.setattr(StraightWay, "_route", lambda self, scope: None)
    assert _ask(shop, *asked) == straight


def test_a_page_of_another_origin_goes_by_way_of_cors(serve: Callable[..., Served]) -> None:
    shop = serve(serve={"origins": ["https://shop.example"]})
    for origin, allowed in (
        ("https://shop.example", "https://shop.example"),
        ("https://other.example", None),
    ):
        answer = shop.client.get("/v1/recommendations?k=1", headers={"origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed


def test_the_straight_way_is_taken(shop: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(self: Any, scope: Any, receive: Any, send: Any) -> Any:
        raise AssertionError("it went through the application")

    monkeypatch.setattr("starlette.middleware.cors.CORSMiddleware.__call__", nobody)
    assert shop.client.get("/v1/recommendations?user_id=u").status_code == 200
    assert shop.client.get("/v1/items/a").status_code == 500

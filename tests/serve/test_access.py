"""Row 47: every route × every kind of key is what the table says; a route without a line fails."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from served_shop import Served
from starlette.routing import Mount, Route

from endcap.serve.keys import KeyRing

NOBODY = {"GET /livez", "GET /readyz", "GET /healthz", "GET /version"}
BROWSER = {
    "POST /v1/events", "POST /v1/events/batch", "GET /v1/recommendations",
    "POST /v1/recommendations", "POST /v1/recommendations/batch",
    "GET /v1/items/{item_id}/similar", "GET /v1/groups",
}  # fmt: skip
SERVER = {
    "PUT /v1/items", "PATCH /v1/items", "POST /v1/items", "GET /v1/items",
    "GET /v1/items/{item_id}",
    "DELETE /v1/items/{item_id}", "PUT /v1/users", "GET /v1/users/{user_id}/history",
    "DELETE /v1/users/{user_id}", "DELETE /v1/visitors/{visitor_id}",
    "POST /v1/alias", "GET /metrics", "GET /v1/slates/{request_id}",
    "GET /v1/placements", "GET /v1/placements/{name}",
    "PUT /v1/placements/{name}", "DELETE /v1/placements/{name}",
    "GET /v1/placements/{name}/versions", "POST /v1/placements/{name}/undo",
    "GET /v1/filters/suggestions", "GET /v1/audience", "POST /v1/audience",
}  # fmt: skip
PAGES_OPEN = {"/openapi.json", "/endcap.js", "/console/login", "/console/static/{name:path}"}
PAGES = {
    "/", "/index.json", "/catalogue", "/catalogue.json", "/events", "/events.json",
    "/console/shoppers", "/console/visitor", "/console/events", "/placements",
    "/console/placements",
}  # fmt: skip


@pytest.fixture
def keys(shop: Served, tmp_path: Path) -> dict[str, str]:
    ring = KeyRing(tmp_path)
    dead, key = ring.create("secret")
    ring.revoke(key.id)
    alive = {"public": ring.create("public")[0], "secret": ring.create("secret")[0]}
    return {"none": "", "revoked": dead, "made up": "sk_00000000_nothing", **alive}


def told(shop: Served) -> dict[str, Any]:
    paths = shop.client.get("/openapi.json").json()["paths"]
    return {
        f"{method.upper()} {path}": operation
        for path, operations in paths.items()
        for method, operation in operations.items()
    }


def ask(shop: Served, operation: str, key: str) -> httpx.Response:
    method, path = operation.split()
    path = path.replace("{item_id}", "a").replace("{user_id}", "u").replace("{name}", "p")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    body = {} if method in {"POST", "PUT", "PATCH"} else None
    return shop.client.request(method, path, json=body, headers=headers)


def test_row_47_every_operation_opens_for_its_keys_alone(
    shop: Served, keys: dict[str, str]
) -> None:
    assert set(told(shop)) == NOBODY | BROWSER | SERVER
    for operation, described in told(shop).items():
        schemes = {name for entry in described["security"] for name in entry}
        for kind, key in keys.items():
            status = ask(shop, operation, key).status_code
            lets_in = (
                kind == "secret"
                or operation in NOBODY
                or (kind == "public" and operation in BROWSER)
            )
            refusal = 403 if kind == "public" else 401
            assert (status not in {401, 403}) if lets_in else status == refusal, (operation, kind)
        expected = {"secretKey", "publicKey"} if operation in BROWSER else {"secretKey"}
        assert schemes == (set() if operation in NOBODY else expected), operation


def test_row_47_every_page_of_the_console_needs_the_secret_key(
    shop: Served, keys: dict[str, str]
) -> None:
    routes = shop.app.router.routes
    paths = {route.path for route in routes if isinstance(route, Route | Mount)}
    assert {path for path in paths if not path.startswith("/v1/")} - {
        operation.split()[1] for operation in told(shop)
    } == PAGES | PAGES_OPEN
    for path in sorted(PAGES):
        method = "POST" if path in {"/console/events", "/console/placements"} else "GET"
        for kind, key in keys.items():
            status = ask(shop, f"{method} {path}", key).status_code
            expected = {"public": {403}, "secret": {200, 303, 422, 403}}.get(kind, {401})
            assert status in expected, (path, kind, status)


def test_twin_a_route_that_asks_for_nothing_is_caught(shop: Served, keys: dict[str, str]) -> None:
    route = next(r for r in shop.app.router.routes if getattr(r, "name", "") == "getUserHistory")
    route.app = route.app.app  # the same route without its lock
    assert ask(shop, "GET /v1/users/{user_id}/history", "").status_code == 200
    with pytest.raises(AssertionError, match="history"):
        test_row_47_every_operation_opens_for_its_keys_alone(shop, keys)


def test_a_public_key_never_reads_a_history(shop: Served, keys: dict[str, str]) -> None:
    browser, server = ({"authorization": f"Bearer {keys[k]}"} for k in ("public", "secret"))
    ask_for = {"user_id": "u", "filter": "brand in user.bought.brand"}
    refused = shop.client.get("/v1/recommendations", params=ask_for, headers=browser)
    assert (refused.status_code, refused.json()["code"]) == (403, "key-too-weak")
    assert shop.client.get("/v1/recommendations", params=ask_for, headers=server).status_code in {
        200,
        422,
    }


def test_a_page_that_is_closed_sends_its_key_in_the_address(
    shop: Served, keys: dict[str, str]
) -> None:
    batch = {"events": [{"kind": "view", "visitor_id": "v", "item_id": "a"}]}
    sent = shop.client.post("/v1/events/batch", params={"key": keys["public"]}, json=batch)
    assert sent.json()["stored"] == 1
    secret = shop.client.post("/v1/events/batch", params={"key": keys["secret"]}, json=batch)
    assert secret.status_code == 401  # addresses end up in logs: no place for a secret


def test_the_console_is_entered_with_a_secret_key_and_left_when_it_is_revoked(
    shop: Served, keys: dict[str, str], tmp_path: Path
) -> None:
    page = {"accept": "text/html"}
    away = shop.client.get("/", headers=page)
    assert (away.status_code, away.headers["location"]) == (303, "/console/login")
    assert "secret" in shop.client.get("/console/login", headers=page).text.lower()
    own = {**page, "sec-fetch-site": "same-origin"}
    for wrong in (keys["public"], keys["revoked"], ""):
        answer = shop.client.post("/console/login", data={"key": wrong}, headers=own)
        assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None)
    foreign = {**page, "sec-fetch-site": "cross-site"}
    assert (
        shop.client.post(
            "/console/login", data={"key": keys["secret"]}, headers=foreign
        ).status_code
        == 403
    )
    answer = shop.client.post("/console/login", data={"key": keys["secret"]}, headers=own)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert keys["secret"] not in cookie
    assert shop.client.get("/", headers=page).status_code == 200
    assert shop.client.get("/v1/items").status_code == 401  # the cookie opens pages, not the API
    KeyRing(tmp_path).revoke(keys["secret"].split("_")[1])
    assert shop.client.get("/", headers=page).status_code == 303


@pytest.mark.parametrize(
    ("origin", "allowed"), [("https://shop.example", True), ("https://shop.example.evil", False)]
)
def test_only_the_shops_own_pages_may_call_from_a_browser(
    serve: Callable[..., Served], origin: str, allowed: bool
) -> None:
    shop = serve(serve={"origins": ["https://shop.example"]})
    asks = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    answer = shop.client.options("/v1/events/batch", headers=asks)
    assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
    assert answer.is_success is allowed


def test_a_public_key_asks_for_no_counterfactual(shop: Served, keys: dict[str, str]) -> None:
    ask_for = {"visitor_id": "v", "explain": "counterfactual"}
    for kind, status in (("public", 403), ("secret", 200)):
        headers = {"authorization": f"Bearer {keys[kind]}"}
        answer = shop.client.get("/v1/recommendations", params=ask_for, headers=headers)
        assert answer.status_code == status

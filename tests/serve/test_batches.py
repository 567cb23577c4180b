"""Many slates in one request: each as if it were asked alone, and nobody waits for all of them."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from served_shop import Served, hung_histories, served

from endcap.prepare.run import prepare_store
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train
from endcap.schema.settings import Settings
from endcap.serve.http.app import create_app
from endcap.serve.keys import KeyRing

URL = "/v1/recommendations/batch"
ROWS = [
    {"kind": "purchase", "user_id": f"u{n % 9}", "item_id": f"i{n % 9 % 4 + n // 9}"}
    for n in range(45)
]
"""Fourteen items that nine shoppers bought."""


def batch(shop: Served, *asks: Any, headers: Any = None, **more: Any) -> httpx.Response:
    return shop.client.post(URL, json={"requests": list(asks), **more}, headers=headers)


def results(shop: Served, *asks: Any, **more: Any) -> list[dict[str, Any]]:
    answer = batch(shop, *asks, **more)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def same(slate: dict[str, Any]) -> dict[str, Any]:
    """Return what does not differ between two answers to the same question."""
    return {k: v for k, v in slate.items() if k not in {"request_id", "generated_at"}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("trained")
    serve = {"timeout_ms": 30_000}  # machines may be busy
    settings = Settings.parse({"store": {"folder": folder}, "serve": serve})
    with served(create_app(settings)) as shop:
        assert shop.post(*ROWS).json()["stored"] == len(ROWS)
        train(prepare_store(shop.runtime.store, settings).dataset, load_recipe("simple"), folder)
        shop.runtime.recommender.reload()
        yield shop


def test_each_is_answered_as_if_it_were_asked_alone(trained: Served) -> None:
    asks: list[dict[str, Any]] = [{"user_id": f"u{n}", "k": 4} for n in range(9)]
    asks += [{"visitor_id": "v", "context_items": ["i2"], "k": 3}, {"k": 5, "lang": "zh"}]
    alone = [trained.client.post("/v1/recommendations", json=ask).json() for ask in asks]
    together = results(trained, *asks)
    assert [result["status"] for result in together] == [200] * len(asks)
    assert [same(result["slate"]) for result in together] == [same(slate) for slate in alone]
    assert {slate["served_by"] for slate in alone} == {"personal", "popular"}
    assert len({str(same(slate)) for slate in alone}) > 5  # or their order would show nothing
    names = {slate["request_id"] for slate in alone}
    names |= {result["slate"]["request_id"] for result in together}
    assert len(names) == 2 * len(asks)


def test_each_is_logged_as_shown_and_can_be_made_again(trained: Served) -> None:
    asks = [{"user_id": f"u{n}", "k": 2} for n in range(3)]
    slates = [result["slate"] for result in results(trained, *asks)]
    for slate in slates:
        again = trained.client.get(f"/v1/slates/{slate['request_id']}").json()
        assert again["identical"]
        assert again["answered"] == [item["item_id"] for item in slate["items"]]
    trained.runtime.impressions.flush()
    log = trained.runtime.store.log.scan(kinds=["impression"])
    names = {slate["request_id"] for slate in slates}
    shown = [row for rows in log for row in rows.to_pylist() if row["request_id"] in names]
    assert sorted((row["request_id"], row["user_id"], row["item_id"]) for row in shown) == sorted(
        (slate["request_id"], ask["user_id"], item["item_id"])
        for slate, ask in zip(slates, asks, strict=True)
        for item in slate["items"]
    )


def test_a_bad_one_never_sinks_its_batch(shop: Served) -> None:
    shop.items({"item_id": "a"})
    bad = [{"k": 0}, {"filter": "prise <"}, {"plaecment": "home"}, "no object", 7]
    found = results(shop, {"k": 1}, *bad, {"k": 1.0})
    assert [result["status"] for result in found] == [200, 422, 422, 422, 422, 422, 200]
    for result in (found[0], found[-1]):
        assert [item["item_id"] for item in result["slate"]["items"]] == ["a"]
        assert "problem" not in result
    for ask, result in zip(bad, found[1:-1], strict=True):
        alone = shop.client.post("/v1/recommendations", json=ask)
        assert "slate" not in result
        problem = result["problem"] | {"request_id": "", "instance": ""}
        assert problem == alone.json() | {"request_id": "", "instance": ""}
    assert "placement" in found[3]["problem"]["hint"]


def test_a_batch_has_one_to_a_hundred_requests(shop: Served) -> None:
    assert len(results(shop, *[{"k": 1}] * 100)) == 100
    for asks in ([], [{"k": 1}] * 101):
        refused = batch(shop, *asks)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid-request")
        assert refused.json()["errors"][0]["field"] == "requests"
    assert "100" in refused.json()["detail"]


@pytest.fixture
def stuck(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A shop whose histories cannot be read until the test is over, as behind a hung disk."""
    shop = serve(serve={"timeout_ms": 100, "waiting_slates": 1})
    shop.items({"item_id": "a"})
    with hung_histories(shop, monkeypatch):
        yield shop


def test_one_deadline_is_for_all_and_the_catalogue_answers_the_rest(stuck: Served) -> None:
    for more, ms in (({}, 100), ({"timeout_ms": 300}, 300)):
        began = time.monotonic()
        found = results(stuck, *[{"user_id": "u", "k": 1}] * 20, **more)
        assert ms / 1000 <= time.monotonic() - began < 20 * 0.1
        for result in found:
            slate = result["slate"]
            assert (slate["served_by"], slate["degraded"]) == ("catalogue", True)
            assert f"within {ms} ms" in slate["reason"]
            assert [item["item_id"] for item in slate["items"]] == ["a"]
    found = results(stuck, {"user_id": "u", "timeout_ms": 10}, {"user_id": "u", "timeout_ms": 250})
    assert all("within 250 ms" in result["slate"]["reason"] for result in found)


def test_a_batch_takes_one_place_and_gives_it_back(stuck: Served) -> None:
    answers: list[list[dict[str, Any]]] = []

    def ask() -> None:
        answers.append(results(stuck, *[{"user_id": "u"}] * 5, timeout_ms=2_000))

    waits = threading.Thread(target=ask)
    waits.start()
    while not stuck.runtime.slates:
        time.sleep(0.005)
    assert stuck.runtime.slates == 1
    refused = batch(stuck, {"k": 1})
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    waits.join()
    assert stuck.runtime.slates == 0
    assert len(answers[0]) == 5


def test_others_are_answered_between_two_slates_of_a_batch(trained: Served) -> None:
    trained.slate(user_id="u1")  # from now on they are known to be quick
    done: list[float] = []

    def ask() -> None:
        with httpx.Client(base_url=trained.client.base_url, timeout=60) as client:
            asks = [{"user_id": f"u{n % 9}", "k": 10} for n in range(100)]
            client.post(URL, json={"requests": asks, "timeout_ms": 60_000}).raise_for_status()
        done.append(time.monotonic())

    waits = threading.Thread(target=ask)
    waits.start()
    while not trained.runtime.slates:
        time.sleep(0.0005)
    alone = trained.client.get("/v1/recommendations?user_id=u2&k=10&timeout_ms=60000")
    answered = time.monotonic()
    waits.join()
    assert alone.status_code == 200
    assert answered < done[0]


def bearer(folder: Path, kind: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {KeyRing(folder).create(kind)[0]}"}


def test_a_batch_counts_by_its_requests(serve: Callable[..., Served], tmp_path: Path) -> None:
    shop = serve(limits={"secret_per_minute": 8, "actor_per_minute": 3})
    server, browser = bearer(tmp_path, "secret"), bearer(tmp_path, "public")
    first = batch(shop, *[{"k": 1}] * 6, headers=server)
    assert first.status_code == 200
    assert first.headers["ratelimit"].startswith('"key";r=2;t=')
    refused = batch(shop, *[{"k": 1}] * 6, headers=server)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate-limited")
    asks = [{"visitor_id": "greedy"}] * 5 + [{"visitor_id": "modest"}]
    many = batch(shop, *asks, headers=browser)
    assert [result["status"] for result in many.json()["results"]] == [200] * 3 + [429] * 2 + [200]
    assert many.json()["results"][3]["problem"]["code"] == "rate-limited"
    assert many.headers["ratelimit"].startswith('"actor";r=0;t=')
    assert many.headers["ratelimit-policy"] == '"actor";q=3;w=60'


def test_a_browser_may_not_ask_in_a_batch_what_it_may_not_ask_alone(
    shop: Served, tmp_path: Path
) -> None:
    browser = bearer(tmp_path, "public")
    asks = [
        {"user_id": "u", "filter": "brand in user.bought.brand"},
        {"visitor_id": "v", "explain": "counterfactual"},
        {"visitor_id": "v"},
    ]
    found = batch(shop, *asks, headers=browser).json()["results"]
    assert [result["status"] for result in found] == [403, 403, 200]
    assert {result["problem"]["code"] for result in found[:2]} == {"key-too-weak"}
    assert batch(shop, {"k": 1}).status_code == 401

"""Row 6: the same key and body get the same answer again, and the work is done once."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from served_shop import Served, served

from endcap.events.postgres.appending import PEN
from endcap.events.store import Receipt
from endcap.schema.settings import Settings
from endcap.serve.http.app import create_app
from endcap.testing.servers import until
from real_servers import needs_postgres

EVENT = {"kind": "view", "user_id": "u", "item_id": "a"}  # no event_id: only the key protects it
WRITES = [
    ("POST", "/v1/events", EVENT),
    ("POST", "/v1/events/batch", {"events": [EVENT, {"kind": "?"}]}),
    ("PUT", "/v1/items", {"items": [{"item_id": "a"}, {}]}),
    ("PATCH", "/v1/items", {"items": [{"item_id": "not there", "stock": 1}]}),
    ("POST", "/v1/items", {"items": [{"item_id": "a"}]}),
    ("PUT", "/v1/users", {"users": [{"user_id": "u"}]}),
    ("POST", "/v1/alias", {"visitor_id": "v", "user_id": "u"}),
    ("DELETE", "/v1/items/a", None),
]


def send(shop: Served, method: str, path: str, body: Any, key: str) -> Any:
    return shop.client.request(method, path, json=body, headers={"Idempotency-Key": key})


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_key_replays_the_answer_of_every_write(
    shop: Served, method: str, path: str, body: Any
) -> None:
    first = send(shop, method, path, body, "k")
    again = send(shop, method, path, body, "k")
    assert first.status_code < 300
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)


def test_without_a_key_the_same_event_is_stored_twice(shop: Served) -> None:
    """The failing twin: what the key protects from."""
    for _ in range(2):
        assert shop.client.post("/v1/events", json=EVENT).json()["stored"] == 1
    assert shop.runtime.store.log.count() == 2


def test_another_body_or_route_under_the_key_is_refused(shop: Served) -> None:
    assert send(shop, "POST", "/v1/events", EVENT, "k").status_code == 202
    for method, path, body in [
        ("POST", "/v1/events", {**EVENT, "item_id": "b"}),
        ("PUT", "/v1/items", {"items": []}),
    ]:
        answer = send(shop, method, path, body, "k")
        assert (answer.status_code, answer.json()["code"]) == (422, "key-reused")
    assert shop.runtime.store.log.count() == 1


@pytest.mark.parametrize("key", ["", "with space", "ä", "x" * 256])
def test_a_malformed_key_is_refused(shop: Served, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    answer = shop.client.post("/v1/events", json=EVENT, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


def test_while_the_first_is_running_the_second_is_a_conflict(shop: Served) -> None:
    shop.runtime.running["k"] = "hash of the request that runs"
    other = send(shop, "POST", "/v1/events", EVENT, "k")
    assert (other.status_code, other.json()["code"]) == (422, "key-reused")

    slow: Future[Any] = Future()  # a commit that has not ended yet
    real, shop.runtime.running = shop.runtime.store.log.submit, {}
    shop.runtime.store.log.submit = lambda *_, **__: slow  # type: ignore[method-assign]
    answers: list[Any] = []
    first = threading.Thread(
        target=lambda: answers.append(send(shop, "POST", "/v1/events", EVENT, "k"))
    )
    first.start()
    while "k" not in shop.runtime.running:
        time.sleep(0.005)
    second = send(shop, "POST", "/v1/events", EVENT, "k")
    assert (second.status_code, second.json()["code"]) == (409, "still-running")
    assert second.headers["retry-after"] == "1"
    slow.set_result(Receipt(received=1, stored=1))
    first.join()
    assert answers[0].status_code == 202
    shop.runtime.store.log.submit = real  # type: ignore[method-assign]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_postgres)])
def workers(
    request: pytest.FixtureRequest, serve: Callable[..., Served], tmp_path: Path
) -> tuple[Served, Served, Callable[[], AbstractContextManager[object]]]:
    """Two servers of one store, and what keeps both from committing for a while."""
    if request.param == "sqlite":
        pair = serve(), serve()
        return *pair, lambda: _pen_of_sqlite(tmp_path / "events.db")
    url = request.getfixturevalue("postgres").new_database()
    pair = serve(store={"url": url}), serve(store={"url": url})
    return *pair, lambda: _pen_of_postgresql(url)


@contextmanager
def _pen_of_sqlite(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def _pen_of_postgresql(url: str) -> Iterator[None]:
    with psycopg.connect(url) as other:
        other.execute(PEN)
        yield


def sent_to_both(workers: Any) -> tuple[list[Any], int]:
    """Send one request under one key to two servers; the second while the first cannot commit."""
    one, two, keep_pen = workers
    with ThreadPoolExecutor(2) as pool:
        with keep_pen():
            first = pool.submit(send, one, "POST", "/v1/events", EVENT, "k")
            until(lambda: one.metric("endcap_ingest_queue_depth") == 1)
            second = pool.submit(send, two, "POST", "/v1/events", EVENT, "k")
            until(lambda: second.done() or two.metric("endcap_ingest_queue_depth") == 1)
        answers = [first.result(), second.result()]
    return answers, one.runtime.store.log.count()


def test_of_two_servers_given_a_key_at_once_one_does_the_work(workers: Any) -> None:
    (first, second), stored = sent_to_both(workers)
    assert (first.status_code, second.status_code, stored) == (202, 409, 1)
    assert (second.json()["code"], second.headers["retry-after"]) == ("still-running", "1")
    again = send(workers[1], "POST", "/v1/events", EVENT, "k")
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotent-replayed"] == "true"


def test_twin_servers_that_reserve_nothing_both_do_the_work(
    workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for server in workers[:2]:
        monkeypatch.setattr(server.runtime.store, "reserve", lambda _: True)
    answers, stored = sent_to_both(workers)
    assert ([answer.status_code for answer in answers], stored) == ([202, 202], 2)


def test_the_answer_survives_a_restart(tmp_path: Path) -> None:
    settings = Settings.parse({"store": {"folder": tmp_path}})
    with served(create_app(settings)) as shop:
        first = send(shop, "POST", "/v1/events", EVENT, "k")
    with served(create_app(settings)) as shop:
        again = send(shop, "POST", "/v1/events", EVENT, "k")
        assert again.headers["idempotent-replayed"] == "true"
        assert again.content == first.content
        assert shop.runtime.store.log.count() == 1


def test_a_refused_request_is_not_remembered(shop: Served) -> None:
    headers = {"Idempotency-Key": "k", "content-type": "application/json"}
    bad = shop.client.post("/v1/events", content=b"{", headers=headers)
    assert bad.status_code == 400
    good = shop.client.post("/v1/events", json=EVENT, headers={"Idempotency-Key": "k"})
    assert good.status_code == 202

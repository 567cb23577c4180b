"""Several workers on one port: what one stored all know, and none is missed when it goes."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from http_shop import ENDCAP, Customers, ShopProcess, stored

from endcap.testing.servers import until
from rounds import sized

PATIENCE = 120.0
"""Starting two workers takes seconds of CPU, and machines may be busy."""
TWO = [*ENDCAP, "--workers", "2"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopProcess]:
    with ShopProcess(tmp_path_factory.mktemp("two") / "shop", TWO) as running:
        with running.client() as client:
            client.timeout = PATIENCE
            items = [{"item_id": f"i{n}"} for n in range(30)]
            assert client.put("/v1/items", json={"items": items}).status_code == 200
        yield running


def workers(shop: ShopProcess) -> list[int]:
    """Return the processes that serve: those with a port open beside the supervisor's."""
    found = psutil.Process(shop.process.pid).children()
    return sorted(p.pid for p in found if "resource_tracker" not in " ".join(p.cmdline()))


@pytest.fixture
def pair(shop: ShopProcess) -> Iterator[list[httpx.Client]]:
    """Yield a client connected to each worker."""
    clients: dict[int, httpx.Client] = {}
    for _ in range(200):
        client = httpx.Client(base_url=shop.url, timeout=PATIENCE)
        clients.setdefault(answering(shop, client), client)
        if client not in clients.values():
            client.close()
        if len(clients) == 2:
            break
    yield list(clients.values())
    for client in clients.values():
        client.close()


def answering(shop: ShopProcess, client: httpx.Client) -> int:
    """Return the worker that holds the other end of a client's connection."""
    with client.stream("GET", "/livez") as answer:
        port = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
        answer.read()
    for pid in workers(shop):
        for held in psutil.Process(pid).net_connections():
            if held.raddr and held.raddr.port == port:
                return pid
    raise AssertionError(f"no worker holds port {port}")


def test_the_next_request_sees_the_event_at_the_other_worker(pair: list[httpx.Client]) -> None:
    """Promise: of 1,000 events, each answered by one worker, the other misses none."""
    assert len(pair) == 2
    seen = 0
    for number in range(1000):
        event = {
            "event_id": f"e{number}",
            "kind": "view",
            "user_id": f"u{number % 50}",
            "item_id": f"i{number % 30}",
        }
        assert pair[number % 2].post("/v1/events", json=event).json()["stored"] == 1
        history = pair[1 - number % 2].get(f"/v1/users/u{number % 50}/history").json()["events"]
        seen += len(history) == number // 50 + 1 and history[0]["item_id"] == event["item_id"]
    assert seen == 1000
    told = [client.get("/metrics").text for client in pair]
    assert all("endcap_events_stored_total 1000.0" in text for text in told)
    assert all("endcap_live_bus_up 1.0" in text for text in told)
    stage = 'endcap_stage_duration_seconds_count{stage="write"} 1000.0'
    until(lambda: stage in pair[0].get("/metrics").text)  # the other tells it a second later


def test_what_one_worker_hides_no_other_shows(pair: list[httpx.Client]) -> None:
    for number in range(20):
        assert pair[number % 2].delete(f"/v1/items/i{number}").json()["deleted"] == 1
        time.sleep(0.1)
        for client in pair:
            slate = client.get("/v1/recommendations?k=30").json()
            assert f"i{number}" not in {item["item_id"] for item in slate["items"]}


def test_what_one_worker_edits_every_other_does_at_once(pair: list[httpx.Client]) -> None:
    """A placement is edited at one worker; the very next request at the other follows it."""
    level = {"name": "popular", "evidence": "none", "weights": {"popular": 1.0}}
    for number in range(40):
        pin = {"item": f"i{20 + number % 10}", "position": 1}
        body = {"levels": [level], "rules": {"pins": [pin]}}
        edited = pair[number % 2].put("/v1/placements/home", json=body)
        assert edited.json()["version"] == number + 1
        for client in pair:
            slate = client.get("/v1/recommendations?k=3").json()
            assert slate["items"][0]["item_id"] == pin["item"]
    assert pair[0].delete("/v1/placements/home").status_code == 200


def test_a_worker_that_dies_is_replaced_and_the_others_answer(shop: ShopProcess) -> None:
    before = workers(shop)
    os.kill(before[0], signal.SIGKILL)
    answers = [
        httpx.get(f"{shop.url}/v1/recommendations?user_id=u", timeout=PATIENCE).status_code
        for _ in range(20)
    ]
    assert answers == [200] * 20
    wait_for(lambda: len(workers(shop)) == 2 and workers(shop) != before)


@pytest.mark.torture
def test_row_13_stopping_two_workers_under_load_cuts_nobody_off(tmp_path: Path) -> None:
    """Once here, ten times in the long form."""
    folder = tmp_path / "shop"
    customers = Customers(tmp_path / "ledger", threads=6)
    for stop in range(sized(1, 10)):
        with ShopProcess(folder, TWO) as shop:
            with shop.client() as client:
                client.get("/readyz", timeout=PATIENCE).raise_for_status()
            with customers.load(shop.url):
                wait_for(lambda: len(customers.acknowledged()) > 100 * (stop + 1))  # noqa: B023
                assert shop.stop() == 0
            assert customers.resets == 0, shop.said()
    rows = stored(folder)
    assert len(rows) == len(set(rows))
    assert customers.acknowledged() <= set(rows)


def test_workers_end_with_their_supervisor(shop: ShopProcess) -> None:
    orphans = workers(shop)
    shop.kill()
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in orphans))


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)

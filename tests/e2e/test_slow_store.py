"""Row 34: a store that has become slow is no outage."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from http_shop import ShopProcess
from wire import Wire

from endcap.testing.servers import PostgresServer, until
from real_servers import needs_postgres
from rounds import sized

pytestmark = [needs_postgres, pytest.mark.slow, pytest.mark.torture]
SLOW_SECONDS = 2.0
CLIENTS, ASKED = 4, sized(40, 2_000)
DEADLINE_MS = 100


@pytest.fixture
def wire(postgres: PostgresServer) -> Iterator[Wire]:
    with Wire(postgres.port) as running:
        yield running


def shop_behind(
    wire: Wire, postgres: PostgresServer, folder: Path, deadline_ms: int
) -> ShopProcess:
    url = postgres.new_database().replace(str(postgres.port), str(wire.port))
    env = {"ENDCAP_STORE__URL": url, "ENDCAP_SERVE__TIMEOUT_MS": str(deadline_ms)}
    return ShopProcess(folder, env=env)


def asked(url: str) -> tuple[Counter[tuple[int, str]], list[float]]:
    """Have shoppers nobody has heard of ask for slates; return who answered, and how soon."""
    answers: Counter[tuple[int, str]] = Counter()
    took: list[float] = []

    def shop(number: int) -> None:
        with httpx.Client(base_url=url, timeout=30) as client:
            for turn in range(ASKED // CLIENTS):
                began = time.monotonic()
                answer = client.get(f"/v1/recommendations?user_id=u{number}-{turn}")
                took.append(time.monotonic() - began)
                answers[answer.status_code, answer.json().get("served_by", "")] += 1

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(shop, range(CLIENTS)))
    return answers, sorted(took)


def test_row_34_slates_come_in_time_and_nothing_piles_up(
    wire: Wire, postgres: PostgresServer, tmp_path: Path
) -> None:
    with shop_behind(wire, postgres, tmp_path / "shop", DEADLINE_MS) as shop:
        with shop.client() as client:
            assert client.put("/v1/items", json={"items": [{"item_id": "a"}]}).status_code == 200
            until(lambda: client.get("/v1/recommendations?user_id=u").json()["items"])
            process = psutil.Process(shop.process.pid)
            threads = process.num_threads()
            wire.delay, before = SLOW_SECONDS, wire.sent
            answers, took = asked(shop.url)
            assert answers == {(200, "catalogue"): ASKED}
            assert took[ASKED // 2] < SLOW_SECONDS / 2  # 250 ms at p99 on a machine of its own
            assert wire.sent - before <= 1.1 * ASKED + 20  # the server looks after itself, too
            assert process.num_threads() <= threads + 8
            wire.delay = 0.2  # a commit is several questions
            event = {"event_id": "e", "kind": "view", "user_id": "u", "item_id": "a"}
            assert client.post("/v1/events", json=event).json()["stored"] == 1
            wire.delay = 0.0
            until(lambda: asked(shop.url)[1][ASKED // 2] < SLOW_SECONDS / 4)
            assert client.get("/readyz").status_code == 200
        assert shop.stop() == 0


def test_row_34_twin_without_a_deadline_shoppers_wait_for_the_store(
    wire: Wire, postgres: PostgresServer, tmp_path: Path
) -> None:
    with shop_behind(wire, postgres, tmp_path / "shop", 25_000) as shop, shop.client() as client:
        assert client.put("/v1/items", json={"items": [{"item_id": "a"}]}).status_code == 200
        wire.delay = SLOW_SECONDS
        began = time.monotonic()
        assert client.get("/v1/recommendations?user_id=new").status_code == 200
        assert time.monotonic() - began > SLOW_SECONDS
        wire.delay = 0.0

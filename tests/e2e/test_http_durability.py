"""Rows 2, 6 and 13: whatever happens to the server, what it acknowledged is there, once."""

import random
import signal
import time
from pathlib import Path

import httpx
import pytest
from http_shop import ENDCAP, ODD, Customers, ShopProcess, Stubborn, stored

from endcap.testing.servers import until
from rounds import ROUNDS, sized

pytestmark = [pytest.mark.slow, pytest.mark.torture]
STOPS = sized(5, 50)


def kill_in_rounds(folder: Path, customers: Customers, rounds: int, command: list[str]) -> None:
    rng = random.Random(2)
    for _ in range(rounds):
        before = len(customers.acknowledged())
        with ShopProcess(folder, command) as shop, customers.load(shop.url):
            until(lambda: len(customers.acknowledged()) > before)  # noqa: B023
            time.sleep(rng.uniform(0.1, 0.6))
            shop.kill()


def test_row_2_nothing_acknowledged_is_lost_or_doubled_by_kill_9(tmp_path: Path) -> None:
    customers = Customers(tmp_path / "acknowledged")
    kill_in_rounds(tmp_path / "shop", customers, ROUNDS, ENDCAP)
    acknowledged, rows = customers.acknowledged(), stored(tmp_path / "shop")
    assert len(acknowledged) > 100
    assert acknowledged <= set(rows)
    assert len(rows) == len(set(rows))


def test_row_2_twin_a_server_that_answers_before_the_commit_is_caught(tmp_path: Path) -> None:
    customers = Customers(tmp_path / "acknowledged")
    kill_in_rounds(tmp_path / "shop", customers, 1, [*ODD, "hasty"])
    assert customers.acknowledged() - set(stored(tmp_path / "shop"))


def test_row_6_a_crash_between_commit_and_answer_does_the_work_once(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    event = {"kind": "purchase", "user_id": "u", "item_id": "a"}  # only the key protects it
    headers = {"Idempotency-Key": "k"}
    with ShopProcess(folder, [*ODD, "stalling"]) as shop, shop.client() as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/events", json=event, headers=headers, timeout=1)
        assert shop.process.stdout is not None
        assert shop.process.stdout.readline().strip() == "committed"
        shop.kill()
    with ShopProcess(folder) as shop, shop.client() as client:
        again = client.post("/v1/events", json=event, headers=headers)
        assert again.status_code == 202
        assert again.headers["idempotent-replayed"] == "true"
        assert again.json()["stored"] == 1
        without = client.post("/v1/events", json=event)  # the twin: no key, twice the work
        assert without.json()["stored"] == 1
    assert len(stored(folder)) == 2


def test_row_13_stops_under_load_cut_nobody_off(tmp_path: Path) -> None:
    customers = Customers(tmp_path / "acknowledged")
    for _ in range(STOPS):
        with ShopProcess(tmp_path / "shop") as shop, customers.load(shop.url):
            time.sleep(0.4)
            shop.process.send_signal(signal.SIGTERM)
            with shop.client() as client:
                ready = client.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["checks"]["serving"] == {"ok": False, "detail": "draining"}
            assert shop.stop() == 0, shop.said()
    assert customers.resets == 0
    acknowledged, rows = customers.acknowledged(), stored(tmp_path / "shop")
    assert acknowledged
    assert acknowledged <= set(rows)
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_row_13_nor_is_cut_off_who_comes_anew_for_each_request(
    tmp_path: Path, workers: str
) -> None:
    """They go on coming after they were asked to leave; who has connected is answered."""
    for _ in range(sized(5, 25)):
        with ShopProcess(tmp_path / "shop", [*ENDCAP, "--workers", workers]) as shop:
            with shop.client() as client:
                client.get("/readyz").raise_for_status()
            with Stubborn(shop.url) as stubborn:
                until(lambda: stubborn.answers["200"] > 50)
                assert shop.stop() == 0, shop.said()
            assert set(stubborn.answers) == {"200"}


def test_row_13_twin_a_server_that_is_killed_cuts_customers_off(tmp_path: Path) -> None:
    customers = Customers(tmp_path / "acknowledged")
    with (
        ShopProcess(tmp_path / "shop") as shop,
        customers.load(shop.url),
        Stubborn(shop.url) as stubborn,
    ):
        until(lambda: stubborn.answers["200"] > 5)
        time.sleep(0.4)
        shop.kill()
    assert customers.resets > 0
    assert stubborn.answers["cut"] > 0

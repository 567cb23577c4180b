"""Rows 23, 24 and 35: training beside, too much at once, and a long time.

Short here, long under ``make torture``. What is counted are answers and resources, not times: those
are for `python -m benchmarks serving`.
"""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from http_shop import ENDCAP, ODD, ROUNDS, Askers, Customers, ShopProcess, stored

from endcap.recommend.artefacts import current
from endcap.testing.servers import until

pytestmark = [pytest.mark.slow, pytest.mark.torture]
ITEMS = 20
CALM = 20 * ROUNDS
"""Slates of one stretch: 100 here, 1,000 with ``ROUNDS=50``."""


def fill(shop: ShopProcess) -> None:
    """Give a shop something to learn and to show."""
    with shop.client() as client:
        items = [{"item_id": f"i{n}", "title": f"Item {n}"} for n in range(ITEMS)]
        assert client.put("/v1/items", json={"items": items}).status_code == 200
        rows = [
            {
                "kind": "purchase",
                "user_id": f"u{n % 50}",
                "item_id": f"i{(n + n // 50 * 3) % ITEMS}",
            }
            for n in range(400)
        ]
        assert client.post("/v1/events/batch", json={"events": rows}).json()["stored"] == 400


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[ShopProcess]:
    with ShopProcess(tmp_path / "shop") as running:
        fill(running)
        yield running


def test_row_23_training_beside_fails_nobody(shop: ShopProcess, tmp_path: Path) -> None:
    """Slates and events go on while models are trained and take over, again and again."""
    customers = Customers(tmp_path / "acknowledged", threads=2)
    train = [sys.executable, "-m", "endcap", "train", "--recipe", "simple", "--folder"]

    def beside(_: ShopProcess) -> None:
        for _ in range(max(1, ROUNDS // 5)):
            command = [*train, str(tmp_path / "shop")]
            subprocess.run(command, check=True, capture_output=True)

    with customers.load(shop.url):
        assert silence(shop, tmp_path / "shop", beside) < 0.5
    assert customers.resets == 0
    assert customers.acknowledged() <= set(stored(tmp_path / "shop"))


def silence(shop: ShopProcess, folder: Path, learn: Callable[[ShopProcess], None]) -> float:
    """Return for which part of a training somebody waited, at the longest."""
    with Askers(shop.url, 3) as askers:
        until(lambda: sum(askers.answers.values()) >= CALM, 60)
        askers.longest, began = 0.0, time.monotonic()
        learn(shop)
        until(lambda: current(folder), 120)
        took = time.monotonic() - began
        until(lambda: askers.artefacts - {""}, 120)
    assert set(askers.answers) == {(200, True)}
    return askers.longest / took


def test_row_23_twin_a_server_that_trains_itself_is_silent_meanwhile(tmp_path: Path) -> None:
    with ShopProcess(tmp_path / "shop", [*ODD, "learning"]) as shop:
        fill(shop)
        learn = partial(shop.process.send_signal, signal.SIGUSR1)
        assert silence(shop, tmp_path / "shop", lambda _: learn()) > 0.5


def crowd(folder: Path, waiting: int) -> tuple[Counter[tuple[int, bool]], int, int]:
    """Let forty ask at once where `waiting` may; return answers, events acknowledged, resets."""
    room = {"ENDCAP_SERVE__WAITING_SLATES": str(waiting)}
    customers = Customers(folder / f"acknowledged{waiting}", threads=2)
    with ShopProcess(folder / f"shop{waiting}", env=room) as shop:
        fill(shop)
        with Askers(shop.url, 40) as askers, customers.load(shop.url):
            until(lambda: askers.answers[200, True] >= CALM and customers.acknowledged(), 120)
        with shop.client() as client:  # and when they are gone, all is as before
            after = [client.get(f"/v1/recommendations?user_id=u{n}&k=5") for n in range(20)]
        assert {answer.status_code for answer in after} == {200}
    return askers.answers, len(customers.acknowledged()), customers.resets


def test_row_24_too_much_is_refused_while_slates_and_events_go_on(tmp_path: Path) -> None:
    answers, events, resets = crowd(tmp_path, waiting=4)
    assert set(answers) == {(200, True), (503, True)}
    assert (events > 0, resets) == (True, 0)


def test_row_24_twin_without_a_bound_nobody_is_refused(tmp_path: Path) -> None:
    answers, _, _ = crowd(tmp_path, waiting=1_000)
    assert set(answers) == {(200, True)}


def stretch(shop: ShopProcess, folder: Path, number: int) -> dict[str, float]:
    """Live through one stretch of slates and events; return what the server holds after it."""
    with shop.client() as client:
        for n in range(CALM):
            who = f"s{number}-{n}"
            event = {"kind": "view", "visitor_id": who, "item_id": f"i{n % ITEMS}"}
            assert client.post("/v1/events", json=event).status_code == 202
            assert client.get(f"/v1/recommendations?visitor_id={who}&k=5").status_code == 200
    process = psutil.Process(shop.process.pid)
    return {
        "files": process.num_fds(),
        "threads": process.num_threads(),
        "mb": process.memory_info().rss / 1e6,
        "wal_mb": (folder / "events.db-wal").stat().st_size / 1e6,
    }


def grown(folder: Path, command: list[str]) -> dict[str, float]:
    """Return by how much a server grew from the second stretch to the last one."""
    with ShopProcess(folder, command) as shop:
        fill(shop)
        held = [stretch(shop, folder, number) for number in range(max(4, ROUNDS // 2))]
    assert held[-1]["wal_mb"] < 64
    return {name: held[-1][name] - held[1][name] for name in held[0]}


def test_row_35_a_long_run_holds_no_more_than_a_short_one(tmp_path: Path) -> None:
    more = grown(tmp_path / "shop", ENDCAP)
    assert more["files"] <= 4
    assert more["threads"] <= 4
    assert more["mb"] < 64


def test_row_35_twin_a_server_that_keeps_every_file_open_is_caught(tmp_path: Path) -> None:
    assert grown(tmp_path / "shop", [*ODD, "hoarding"])["files"] > 100

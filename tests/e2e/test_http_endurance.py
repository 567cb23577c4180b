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

import numpy as np
import psutil
import pytest
from http_shop import ENDCAP, ITEMS, ODD, Askers, Customers, ShopProcess, fill, stored

from endcap.recommend.artefacts import current
from endcap.testing.servers import until
from rounds import ROUNDS, sized

pytestmark = [pytest.mark.slow, pytest.mark.torture]
CALM = 20 * ROUNDS
"""Slates of one stretch: 100 here, 1,000 with ``ROUNDS=50``."""
SHOPPERS = 5_000
LONG_SECONDS = sized(0, 1_800)
"""Half an hour in the long form; here four stretches, however short."""


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
            who = f"s{(number * CALM + n) % SHOPPERS}"
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


def lived(folder: Path, command: list[str], seconds: float) -> list[dict[str, float]]:
    """Return what a server held after each stretch of so many seconds, four at least."""
    with ShopProcess(folder, command, env={"ENDCAP_LIVE__KEEP_EVENTS": "500"}) as shop:
        fill(shop)
        began, held = time.monotonic(), list[dict[str, float]]()
        while len(held) < 4 or time.monotonic() < began + seconds:
            held.append(stretch(shop, folder, len(held)))
            held[-1]["minutes"] = (time.monotonic() - began) / 60
    return held


def grown(held: list[dict[str, float]]) -> dict[str, float]:
    """Return by how much a server grew from the second stretch to the last one."""
    return {name: held[-1][name] - held[1][name] for name in held[0]}


def test_row_35_a_long_run_holds_no_more_than_a_short_one(tmp_path: Path) -> None:
    """Shoppers come one after the other, for half an hour in the long form.

    They come again, and few histories are kept in memory, so that what is meant to be kept is full
    when the last third begins; SQLite's own cache fills in the first. In that third memory grows
    by less than one percent in ten minutes.
    """
    held = lived(tmp_path / "shop", ENDCAP, LONG_SECONDS)
    for one in held:
        print({name: round(value, 1) for name, value in one.items()})
    more = grown(held)
    assert more["files"] <= 4
    assert more["threads"] <= 4
    assert max(one["wal_mb"] for one in held) < 64
    if LONG_SECONDS < 600:
        assert more["mb"] < 64
        return
    late = [one for one in held if one["minutes"] > held[-1]["minutes"] * 2 / 3]
    a_minute, _ = np.polyfit([one["minutes"] for one in late], [one["mb"] for one in late], 1)
    assert 10 * a_minute < 0.01 * late[0]["mb"]


def test_row_35_twin_a_server_that_keeps_every_file_open_is_caught(tmp_path: Path) -> None:
    assert grown(lived(tmp_path / "shop", [*ODD, "hoarding"], 0))["files"] > 100

"""Row 9: messages that bring a worker down, and workers that are killed besides."""

import random
import time
from contextlib import closing
from pathlib import Path

import pytest
from brokers import Broker
from streaming import Inside, Poisoned, good, lag, poisoned_worker, stored, weakened

from endcap.cli.app import run
from endcap.events.opening import open_store
from endcap.schema.settings import StoreSettings
from endcap.serve.streams.worker import MOST_TRIES
from endcap.testing.servers import until
from rounds import sized

pytestmark = [pytest.mark.slow, pytest.mark.torture]
HUNDREDS, KILLS = sized(3, 50), sized(1, 10)
"""Of good messages, each with one that is poison; and how often a worker is killed."""


def names(messages: list[bytes]) -> set[str]:
    return {message.split(b'"')[3].decode() for message in messages}


def test_row_9_one_in_a_hundred_is_put_aside_and_comes_back_when_asked(
    broker: Broker, tmp_path: Path
) -> None:
    """Whatever is killed, the good are stored and the poison kept; once mended, it goes in."""
    rng = random.Random(9)
    messages, poison = good(100 * HUNDREDS), good(HUNDREDS, "poison")
    mixed = [*messages, *poison]
    rng.shuffle(mixed)
    folder, step = tmp_path / "shop", -(-len(mixed) // KILLS)
    for kill in range(KILLS):
        broker.fill(mixed[kill * step : (kill + 1) * step])
        before = len(stored(folder))
        with poisoned_worker(broker.url, folder) as mortal:
            until(lambda: len(stored(folder)) > before, seconds=60)  # noqa: B023
            time.sleep(rng.uniform(0, 2))
            mortal.kill()
    store, _ = weakened(folder, Poisoned)
    with closing(store), Inside(broker, store) as last:
        until(lambda: lag(last) == 0 and store.log.count() == len(messages), seconds=240)
    buried = {letter["payload"].encode() for letter in broker.dead()}
    assert names(list(buried)) == names(poison)
    assert {letter["reason"] for letter in broker.dead()} == {"too-many-tries"}
    aside = tmp_path / "aside.jsonl"
    wanted = ["--reason", "too-many-tries", "--export", str(aside)]
    assert run(["quarantine", *wanted, "--folder", str(folder)]) == 0
    broker.fill(aside.read_bytes().splitlines())
    with (
        closing(open_store(StoreSettings(folder=folder))) as sound,
        Inside(broker, sound) as mended,
    ):
        until(lambda: lag(mended) == 0 and sound.log.count() == len(mixed), seconds=60)
    assert sorted(stored(folder)) == sorted(names(mixed))


def test_row_9_what_kills_its_worker_is_put_aside_alone(broker: Broker, tmp_path: Path) -> None:
    """Whatever came with it is stored, though it was handed out as often."""
    messages = good(60)
    broker.fill([*messages[:25], *good(1, "poison"), *messages[25:]])
    folder = tmp_path / "shop"
    for _ in range(MOST_TRIES):
        with poisoned_worker(broker.url, folder, "deadly") as mortal:
            assert mortal.wait(60) == 9
    with poisoned_worker(broker.url, folder, "deadly"):
        until(lambda: len(broker.dead()) > 0 and len(stored(folder)) == 60, seconds=60)
        until(lambda: broker.lag() == 0, seconds=60)
    assert names([letter["payload"].encode() for letter in broker.dead()]) == {"poison0"}
    assert sorted(stored(folder)) == sorted(names(messages))

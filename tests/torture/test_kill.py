"""Promise 2: acknowledged events survive ``kill -9``, and nothing is stored twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torture_rig import ROUNDS, Child, lost_and_doubled, needs, opened, stored

from endcap.testing.contracts.sample_rows import numbered

KILLS = 4 * ROUNDS
"""A dozen in CI, 200 where 50 power cuts are asked for."""

pytestmark = [pytest.mark.torture, pytest.mark.slow]


def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path) -> None:
    rng = random.Random(77)
    everything: set[str] = set()
    for _ in range(KILLS):
        child = Child(
            tmp_path / "shop", tmp_path / "acks", "--clients", str(rng.choice((1, 8, 64)))
        )
        child.wait_for(1)
        time.sleep(rng.uniform(0, 0.4))
        child.kill()
        everything |= child.acknowledged()
        lost, doubled = lost_and_doubled(tmp_path / "shop", everything)
        assert (lost, doubled) == (set(), 0)


def test_twin_that_acknowledges_before_commit_loses_events(tmp_path: Path) -> None:
    child = Child(tmp_path / "shop", tmp_path / "acks", "--ack", "early")
    child.wait_for(200)
    child.kill()
    lost, _ = lost_and_doubled(tmp_path / "shop", child.acknowledged())
    assert lost


OPEN = """
import sys, pathlib
from endcap.events.sqlite import open_store
from endcap.schema.settings import StoreSettings
open_store(StoreSettings(folder=pathlib.Path(sys.argv[1]))).close()
"""


@needs("strace")
def test_a_first_start_killed_anywhere_is_completed_by_the_next(tmp_path: Path) -> None:
    """Kill at the Nth write to the database files, while the schema is being made."""
    killed = 0
    for number in (1, 3, 9, 19, 37, *range(2, 100, 3))[: 1 + ROUNDS]:
        folder = tmp_path / str(number)
        inject = f"inject=pwrite64:signal=KILL:when={number}"
        command = ["strace", "-f", "-o", os.devnull, "-e", "trace=pwrite64", "-e", inject]
        done = subprocess.run([*command, sys.executable, "-c", OPEN, str(folder)], check=False)
        killed += done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
        with opened(folder) as store:
            assert store.log.append(numbered(0, 3)).stored == 3
            assert stored(store) == ["e0", "e1", "e2"]
    assert killed >= 3

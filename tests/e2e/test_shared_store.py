"""Row 18: two workers and a trainer share one store, and nobody is locked out."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from http_shop import ENDCAP, ODD, Askers, Customers, ShopProcess, fill, stored

from endcap.testing.servers import until
from rounds import sized

pytestmark = [pytest.mark.slow, pytest.mark.torture]
SECONDS = sized(5, 600)
"""Ten minutes in the long form."""
TRAIN = [sys.executable, "-m", "endcap", "train", "--recipe", "simple", "--folder"]


def test_row_18_two_workers_and_a_trainer_lock_nobody_out(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    customers = Customers(tmp_path / "acknowledged", threads=4)
    with ShopProcess(folder, [*ENDCAP, "--workers", "2"]) as shop:
        fill(shop)
        with Askers(shop.url, 2) as askers, customers.load(shop.url):
            end, artefacts = time.monotonic() + SECONDS, 0
            while artefacts < 2 or time.monotonic() < end:
                subprocess.run([*TRAIN, str(folder)], check=True, capture_output=True)
                artefacts += 1
            until(lambda: len(askers.artefacts - {""}) > 1, 60)
        assert shop.stop() == 0
    assert set(askers.answers) == {(200, True)}
    assert (customers.refused, customers.resets) == ({}, 0)
    acknowledged, rows = customers.acknowledged(), stored(folder)
    assert len(acknowledged) > 100
    assert acknowledged <= set(rows)
    assert len(rows) == len(set(rows))


def test_row_18_twin_servers_that_wait_for_nobody_refuse_customers(tmp_path: Path) -> None:
    crowds = [Customers(tmp_path / f"acknowledged{n}", threads=4, seed=n + 1) for n in range(2)]
    with (
        ShopProcess(tmp_path / "shop", [*ODD, "impatient"]) as one,
        ShopProcess(tmp_path / "shop", [*ODD, "impatient"]) as other,
        crowds[0].load(one.url),
        crowds[1].load(other.url),
    ):
        until(lambda: sum(crowd.refused.total() for crowd in crowds) > 3, 60)

"""The meter sees processor time and the peak within a block, also of blocks in blocks."""

import subprocess
import sys

import pytest

from endcap.evaluate.meter import Meter, cpu_seconds


def test_counts_work() -> None:
    with Meter() as meter:
        before = cpu_seconds()
        while cpu_seconds() - before < 0.05:
            sum(range(10_000))
    assert meter.cpu_s >= 0.05
    assert meter.wall_s >= 0.04
    assert meter.peak_mb > 10


PEAKS = """
import numpy as np
from endcap.evaluate.meter import Meter, peak_mb

with Meter() as outer:
    large = np.ones(40 << 17)  # 40 MiB
    held = peak_mb()
    del large
    with Meter() as inner:
        np.ones(1 << 10)
assert outer.peak_mb > held - 1, (outer, held)  # the kernel counts in batches of pages
assert inner.peak_mb < held - 20, (inner, held)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_peak_is_of_the_block_and_outer_blocks_keep_theirs() -> None:
    # In a process of its own: one that has run other tests may keep what is freed.
    subprocess.run([sys.executable, "-c", PEAKS], check=True, timeout=60)


def test_an_error_ends_the_block() -> None:
    meter = Meter()
    with pytest.raises(ValueError, match="stop"), meter:
        raise ValueError("stop")
    assert meter.wall_s > 0
    with Meter() as next_one:
        pass
    assert next_one.wall_s >= 0

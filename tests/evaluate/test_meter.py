"""The meter sees processor time and the peak within a block, also of blocks in blocks."""

import sys

import numpy as np
import pytest

from endcap.evaluate.meter import Meter, cpu_seconds, peak_mb


def test_counts_work() -> None:
    with Meter() as meter:
        before = cpu_seconds()
        while cpu_seconds() - before < 0.05:
            sum(range(10_000))
    assert meter.cpu_s >= 0.05
    assert meter.wall_s >= 0.04
    assert meter.peak_mb > 10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_peak_is_of_the_block_and_outer_blocks_keep_theirs() -> None:
    with Meter() as outer:
        large = np.ones(40 << 17)  # 40 MiB
        held = peak_mb()
        del large
        with Meter() as inner:
            small = np.ones(1 << 10)
        assert small.sum() == 1 << 10
    assert outer.peak_mb > held - 1  # the kernel counts in batches of pages
    assert inner.peak_mb < held - 20


def test_an_error_ends_the_block() -> None:
    meter = Meter()
    with pytest.raises(ValueError, match="stop"), meter:
        raise ValueError("stop")
    assert meter.wall_s > 0
    with Meter() as next_one:
        pass
    assert next_one.wall_s >= 0

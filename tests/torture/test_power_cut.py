"""Promise 1: acknowledged events survive a power cut."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from torture_rig import ROUNDS, Child, Disk, lost_and_doubled, need_loop_device, needs

pytestmark = [
    pytest.mark.torture,
    pytest.mark.slow,
    needs("mkfs.ext4", "mount", "losetup", "xfs_io", root=True),
]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    need_loop_device()
    disk = Disk(tmp_path / "disk.img", tmp_path / "disk")
    yield disk
    disk.unmount()


def cut(disk: Disk, journal: Path, *flags: str, seconds: float) -> tuple[set[str], set[str]]:
    """Cut the power under a busy client; return what was acknowledged before, and what is lost.

    Only what is in the journal before the cut is issued counts: an answer given during the
    system call that cuts is neither before nor after.
    """
    folder = disk.mount / "shop"
    child = Child(folder, journal, *flags)
    try:
        child.wait_for(20)
        time.sleep(seconds)
        acknowledged = child.acknowledged()
        disk.cut_power()
    finally:
        child.kill()
    disk.unmount()
    disk.power_on()
    lost, doubled = lost_and_doubled(folder, acknowledged)
    assert doubled == 0
    return acknowledged, lost


def test_nothing_acknowledged_is_lost(disk: Disk, tmp_path: Path) -> None:
    rng = random.Random(20260329)
    for _ in range(ROUNDS):
        acknowledged, lost = cut(disk, tmp_path / "acks", seconds=rng.uniform(0, 0.8))
        assert len(acknowledged) > 20
        assert lost == set()


def test_twin_that_does_not_fsync_each_commit_loses_events(disk: Disk, tmp_path: Path) -> None:
    flags = ("--durability", "normal")
    cuts = [cut(disk, tmp_path / "acks", *flags, seconds=0.2) for _ in range(2)]
    assert any(lost for _, lost in cuts)

"""Promise 1 on PostgreSQL: acknowledged events survive a power cut of the server's machine.

The whole cluster lies on a file system that loses what was not synced; the client does not.
"""

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from torture_rig import ROUNDS, Child, Disk, need_loop_device, needs

from endcap.events.postgres import open_store
from endcap.schema.settings import StoreSettings
from endcap.testing.servers import PostgresServer
from real_servers import needs_postgres

pytestmark = [
    pytest.mark.torture,
    pytest.mark.slow,
    needs_postgres,
    needs("mkfs.ext4", "mount", "losetup", "xfs_io", root=True),
]


class Machine:
    """A PostgreSQL server and the disk that it stands on."""

    def __init__(self, image: Path) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="endcap-disk-"))  # not below pytest's folder
        self._place.chmod(0o755)
        self.disk = Disk(image, self._place / "disk")
        data = self.disk.mount / "data"
        data.mkdir()
        self.server = PostgresServer("max_wal_size=64MB", data=data)
        self.url = self.server.new_database()

    def cut_power(self) -> None:
        """Lose everything that was not synced, and every process with it."""
        self.disk.cut_power()
        self.server.kill()

    def power_on(self) -> None:
        self.disk.unmount()
        self.disk.power_on()
        self.server.start_after_crash()

    def remove(self) -> None:
        self.server.stop("immediate")
        self.disk.unmount()
        shutil.rmtree(self._place)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    need_loop_device()
    running = Machine(tmp_path / "disk.img")
    yield running
    running.remove()


def cut(machine: Machine, journal: Path, *flags: str, seconds: float) -> tuple[set[str], set[str]]:
    """Cut the power under a busy client; return what was acknowledged before, and what is lost."""
    child = Child(machine.url, journal, *flags)
    try:
        child.wait_for(20)
        time.sleep(seconds)
        acknowledged = child.acknowledged()
        machine.cut_power()
    finally:
        child.kill()
    machine.power_on()
    with closing(open_store(StoreSettings(url=machine.url))) as store:
        assert store.healthy() == (True, "")
        counts = store.counts()
    with psycopg.connect(machine.url) as database:
        found = [name for (name,) in database.execute("SELECT event_id FROM events")]
    assert counts.balanced
    assert counts.stored == len(found) == len(set(found))
    return acknowledged, acknowledged - set(found)


def test_nothing_acknowledged_is_lost(machine: Machine, tmp_path: Path) -> None:
    rng = random.Random(20260329)
    for _ in range(ROUNDS):
        acknowledged, lost = cut(machine, tmp_path / "acks", seconds=rng.uniform(0, 0.8))
        assert len(acknowledged) > 20
        assert lost == set()


def test_twin_that_does_not_wait_for_the_disk_loses_events(
    machine: Machine, tmp_path: Path
) -> None:
    flags = ("--durability", "off")
    cuts = [cut(machine, tmp_path / "acks", *flags, seconds=0.1) for _ in range(2)]
    assert any(lost for _, lost in cuts)

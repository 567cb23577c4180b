"""What the torture tests share: children to kill, disks to pull out, journals to compare."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from endcap.events.sqlite import SQLiteStore
from endcap.events.store import Store
from endcap.schema.settings import StoreSettings

CHILD = Path(__file__).with_name("torture_child.py")
ROUNDS = int(os.environ.get("ENDCAP_TORTURE_ROUNDS", "3"))
"""Three in CI; ``make torture`` asks for 50."""


def needs(*programs: str, root: bool = False) -> pytest.MarkDecorator:
    """Skip where a program is missing, or where faults cannot be made without being root."""
    missing = [p for p in programs if shutil.which(p) is None]
    if root and (not hasattr(os, "geteuid") or os.geteuid() != 0):
        missing.append("root")
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


class Child:
    """A running client; what it says was acknowledged is read from its journal."""

    def __init__(self, place: Path | str, journal: Path, *flags: str, before: tuple[str, ...] = ()):
        self.journal = journal
        journal.unlink(missing_ok=True)
        command = [*before, sys.executable, str(CHILD), str(place), str(journal), *flags]
        self.process = subprocess.Popen(command)

    def wait_for(self, acknowledgements: int) -> None:
        """Wait until that many batches were acknowledged."""
        give_up = time.monotonic() + 60
        while len(self.lines("ack")) < acknowledgements:
            assert self.process.poll() is None, "the client ended by itself"
            assert time.monotonic() < give_up, "the client acknowledges nothing"
            time.sleep(0.005)

    def kill(self) -> None:
        """``kill -9``."""
        self.process.kill()
        self.process.wait()

    def finish(self) -> None:
        """Let it come to its end."""
        assert self.process.wait(timeout=120) == 0

    def lines(self, word: str) -> list[list[str]]:
        """Return the whole lines so far that begin with `word`, without it."""
        if not self.journal.exists():
            return []
        text = self.journal.read_bytes().rpartition(b"\n")[0].decode()
        split = (line.split() for line in text.splitlines())
        return [words[1:] for words in split if words[0] == word]

    def acknowledged(self) -> set[str]:
        """Return the ids acknowledged so far."""
        return {name for line in self.lines("ack") for name in line}


def stored(store: Store) -> list[str]:
    """Return all ids in the log, as often as they are in it."""
    batches = store.log.scan()
    return [name for batch in batches for name in batch["event_id"].to_pylist()]


@contextmanager
def opened(folder: Path) -> Iterator[SQLiteStore]:
    """Open the store as the next process would; it must be well and take events."""
    store = SQLiteStore(StoreSettings(folder=folder))
    try:
        assert store.healthy() == (True, "")
        yield store
    finally:
        store.close()


def lost_and_doubled(folder: Path, acknowledged: set[str]) -> tuple[set[str], int]:
    """Return what was acknowledged and is gone, and how many rows are there more than once.

    Read past our own code, after the store was opened, found well, and closed.
    """
    with opened(folder) as store:
        counts = store.counts()
    database = sqlite3.connect(folder / "events.db")
    found = [name for (name,) in database.execute("SELECT event_id FROM events")]
    database.close()
    assert counts.balanced
    assert counts.stored == len(found)
    return acknowledged - set(found), len(found) - len(set(found))


class Disk:
    """An ext4 file system in a file, whose power can be cut."""

    def __init__(self, image: Path, mount: Path) -> None:
        self.image, self.mount = image, mount
        mount.mkdir()
        with image.open("wb") as file:
            file.truncate(256 << 20)
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        self.power_on()

    def power_on(self) -> None:
        subprocess.run(["mount", "-o", "loop", str(self.image), str(self.mount)], check=True)

    def cut_power(self) -> None:
        """Lose everything that was not synced."""
        subprocess.run(["xfs_io", "-x", "-c", "shutdown", str(self.mount)], check=True)

    def unmount(self) -> None:
        for _ in range(100):
            done = subprocess.run(["umount", str(self.mount)], capture_output=True, check=False)
            if done.returncode == 0 or b"not mounted" in done.stderr:
                return
            time.sleep(0.05)
        subprocess.run(["umount", "-l", str(self.mount)], check=False)


def need_loop_device() -> None:
    """Skip, saying why, where no file can be mounted (a container without loop devices)."""
    probe = subprocess.run(["losetup", "--find"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no loop device: {probe.stderr.strip()}")

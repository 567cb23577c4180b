"""Promise 3: a failed fsync is never acknowledged and never tried again."""

from pathlib import Path

import pytest
from torture_rig import ROUNDS, Child, needs, opened, stored

from endcap.testing.contracts.sample_rows import numbered

pytestmark = [pytest.mark.torture, pytest.mark.slow, needs("strace")]


FOLDERS = 2
"""With the first commit SQLite syncs the log, the folder that names it, and the log again."""


def fail_fsync(number: int, tmp_path: Path, *flags: str) -> Child:
    """Run a client of 60 batches whose Nth fsync, and no other, fails with EIO."""
    with opened(tmp_path / "shop"):
        pass  # made before, so that the first fsync counted is that of a commit
    faults = f"inject=fdatasync:error=EIO:when={number}"  # SQLite's; fsync is our own
    tracer = ("strace", "-f", "-y", "-o", str(tmp_path / "trace"), "-e", "trace=fdatasync,fsync")
    flags = ("--clients", "1", "--batches", "60", *flags)
    child = Child(tmp_path / "shop", tmp_path / "acks", *flags, before=(*tracer, "-e", faults))
    child.finish()
    return child


@pytest.mark.parametrize("number", [n for n in range(1, 41, max(1, 40 // ROUNDS)) if n != FOLDERS])
def test_the_group_is_not_acknowledged_and_writing_ends(number: int, tmp_path: Path) -> None:
    child = fail_fsync(number, tmp_path)
    assert "INJECTED" in (tmp_path / "trace").read_text()
    assert len(child.lines("ack")) < number, "more acknowledgements than fsyncs that worked"
    failures = child.lines("fail")
    assert {line[0] for line in failures} == {"StoreReadOnlyError"}
    assert len(failures) == 6, "the batch and every later attempt are refused"
    assert child.lines("healthy") == [["False"]]
    with opened(tmp_path / "shop") as store:  # reopening checks the file and takes events again
        assert child.acknowledged() <= set(stored(store))
        assert store.log.append(numbered(0, 3)).stored == 3
    assert not (tmp_path / "shop" / "events.suspect").exists()


def test_what_sqlite_passes_over_was_on_disk_before(tmp_path: Path) -> None:
    """It takes no notice when the folder cannot be synced; the folder was, before any commit."""
    child = fail_fsync(FOLDERS, tmp_path)
    calls = (tmp_path / "trace").read_text().splitlines()
    folder = f"<{tmp_path / 'shop'}>)"
    failed = next(n for n, call in enumerate(calls) if "INJECTED" in call)
    assert folder in calls[failed]
    assert any("fsync(" in c and folder in c and c.endswith("= 0") for c in calls[:failed])
    assert len(child.lines("ack")) == 60


def test_twin_that_never_fsyncs_acknowledges_all(tmp_path: Path) -> None:
    child = fail_fsync(3, tmp_path, "--durability", "off")
    assert len(child.lines("ack")) >= 3
    assert child.lines("fail") == []

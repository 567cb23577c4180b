"""Promise 3: a failed fsync is never acknowledged and never tried again."""

from pathlib import Path

import pytest
from torture_rig import ROUNDS, Child, needs, opened, stored

from endcap.testing.contracts.sample_rows import numbered

pytestmark = [pytest.mark.torture, pytest.mark.slow, needs("strace")]


def fail_fsync(number: int, tmp_path: Path, *flags: str) -> Child:
    """Run a client of 60 batches whose Nth fsync, and no other, fails with EIO."""
    with opened(tmp_path / "shop"):
        pass  # made before, so that the first fsync counted is that of a commit
    faults = f"inject=fdatasync,fsync:error=EIO:when={number}"
    tracer = ("strace", "-f", "-o", str(tmp_path / "trace"), "-e", "trace=fdatasync,fsync")
    flags = ("--clients", "1", "--batches", "60", *flags)
    child = Child(tmp_path / "shop", tmp_path / "acks", *flags, before=(*tracer, "-e", faults))
    child.finish()
    return child


@pytest.mark.parametrize("number", range(1, 41, max(1, 40 // ROUNDS)))
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


def test_twin_that_never_fsyncs_acknowledges_all(tmp_path: Path) -> None:
    child = fail_fsync(3, tmp_path, "--durability", "off")
    assert len(child.lines("ack")) >= 3
    assert child.lines("fail") == []

"""A number that other processes see move."""

import subprocess
import sys
from pathlib import Path

from endcap.recommend.stamp import Stamp


def test_what_one_moves_every_other_sees_at_once(tmp_path: Path) -> None:
    mine, other = Stamp(tmp_path / "s"), Stamp(tmp_path / "s")
    assert mine.read() == other.read() == 0
    mine.move()
    assert other.read() == mine.read() != 0
    before = mine.read()
    move = "from pathlib import Path; from endcap.recommend.stamp import Stamp; import sys; "
    subprocess.run(
        [sys.executable, "-c", move + "Stamp(Path(sys.argv[1])).move()", str(tmp_path / "s")],
        check=True,
    )
    assert mine.read() == other.read() != before


def test_a_folder_that_is_made_later_is_found(tmp_path: Path) -> None:
    early = Stamp(tmp_path / "later" / "s")
    assert early.read() == 0
    Stamp(tmp_path / "later" / "s").move()
    assert early.read() == 1


def test_an_empty_file_of_an_earlier_version_will_do(tmp_path: Path) -> None:
    (tmp_path / "s").touch()
    stamp = Stamp(tmp_path / "s")
    stamp.move()
    assert stamp.read() == 1

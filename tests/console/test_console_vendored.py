"""What we did not write is what its authors published, with its licence beside it."""

import hashlib
import re
from pathlib import Path

import endcap.serve.console

VENDOR = Path(endcap.serve.console.__file__).parent / "static" / "vendor"
AXE = Path(__file__).parents[1] / "data" / "axe"
ROW = re.compile(
    r"^\| (\S+\.js) \|.*\| (\d+\.\d+\.\d+) \| (.*) \| ([0-9a-f]{64}) \|$", re.MULTILINE
)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_library_is_listed_pinned_and_licensed() -> None:
    listed = ROW.findall((VENDOR / "VENDORED.md").read_text(encoding="utf-8"))
    assert {row[0] for row in listed} == {path.name for path in VENDOR.glob("*.js")}
    for name, version, licences, digest in listed:
        assert sha256(VENDOR / name) == digest
        assert version in (VENDOR / name).read_text(encoding="utf-8")
        kept = [part for part in re.split(r"[, ]+", licences) if (VENDOR / part).is_file()]
        assert kept, licences


def test_nothing_points_elsewhere() -> None:
    own = (VENDOR.parent / "console.js").read_text(encoding="utf-8")
    assert "innerHTML" not in own
    for path in (VENDOR.parent / "console.css", VENDOR.parent / "console.js"):
        assert not re.search(r"(?:https?:)?//(?=\w+\.)", path.read_text(encoding="utf-8")), path


def test_axe_is_the_published_one() -> None:
    assert sha256(AXE / "axe.min.js") in (AXE / "README.md").read_text(encoding="utf-8")

"""The documents do not lie: links lead somewhere, code runs, both languages keep step."""

import os
import re
import runpy
from pathlib import Path

import pytest

from endcap.cli import app as cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.M | re.S)


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    found = [(len(m[1]), m[3]) for m in BLOCK.finditer(text) if m[2] == language]
    return ["".join(line[indent:] for line in body.splitlines(True)) for indent, body in found]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:|#", target):
            assert (page.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=named)
def test_python_runs(
    page: Path, demo_shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(demo_shop.parent)
    for number, code in enumerate(blocks(page, "python")):
        script = tmp_path / f"block_{number}.py"
        script.write_text(code, encoding="utf-8")
        runpy.run_path(str(script))


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "sh")], ids=named)
def test_commands_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines():
        words = line.partition(" #")[0].split()
        if words[:1] == ["make"]:
            assert re.search(rf"^{words[1]}:", makefile, re.M), line
        if words[:1] == ["endcap"] and len(words) > 1:
            assert cli.run([words[1], "--help"]) == 0, line
            page_text = capsys.readouterr().out
            for flag in (w.partition("=")[0] for w in words if w.startswith("--")):
                assert flag in page_text, line


def test_both_readmes_keep_step() -> None:
    english, chinese = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")
    )
    assert len(re.findall(r"^#+ ", english, re.M)) == len(re.findall(r"^#+ ", chinese, re.M))
    for pattern in (r"^```.*?^```", r"\]\((?!README)([^)]+)\)", r"^\|.*\d.*\|$"):
        flags = re.M | re.S if "```" in pattern else re.M
        strip = lambda text: [re.sub(r" *#.*", "", x) for x in text]  # noqa: E731
        ours, theirs = re.findall(pattern, english, flags), re.findall(pattern, chinese, flags)
        assert strip(ours) == strip(theirs) or len(ours) == len(theirs), pattern


def test_the_project_speaks_of_itself_alone() -> None:
    skip = {
        ".git",
        ".venv",
        ".bench-venv",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        "node_modules",
    }
    for folder, inner, names in os.walk(ROOT):
        inner[:] = [name for name in inner if name not in skip]
        for name in names:
            path = Path(folder) / name
            if path.suffix in {
                ".py",
                ".md",
                ".toml",
                ".html",
                ".js",
                ".yaml",
                ".txt",
            } and path != Path(__file__):
                text = path.read_text(encoding="utf-8", errors="replace")
                assert "/work/" not in text, path


def test_every_promise_names_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    named_tests = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(named_tests) > 20
    for path, function in named_tests:
        assert f"def {function}" in (ROOT / path).read_text(encoding="utf-8"), (path, function)

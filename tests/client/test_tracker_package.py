"""The tracker as an npm package: packed, installed and imported as a shop's build does it."""

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import endcap

ROOT = Path(__file__).parents[2]
FOLDER = Path(str(files("endcap.serve.tracker")))
NODE, NPM = shutil.which("node"), shutil.which("npm")
CALM = ["--offline", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]

needs_node = pytest.mark.skipif(NODE is None or NPM is None, reason="no node on this machine")


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, check=False, cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def declared() -> list[str]:
    text = (FOLDER / "endcap.d.ts").read_text(encoding="utf-8")
    return sorted(re.findall(r"^export (?:declare )?(?:function|const) (\w+)", text, re.M))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An empty shop into which the package is installed, and what npm says of the package."""
    shop = tmp_path_factory.mktemp("shop")
    cache = ["--cache", str(shop / "cache")]
    told = run(FOLDER, "npm", "pack", "--json", "--pack-destination", str(shop), *CALM, *cache)
    (about,) = json.loads(told)
    (shop / "package.json").write_text('{"private": true}')
    run(shop, "npm", "install", str(shop / about["filename"]), *CALM, *cache)
    return shop, about


@needs_node
def test_the_package_holds_what_it_needs_and_its_licence(
    packed: tuple[Path, dict[str, Any]],
) -> None:
    shop, about = packed
    held = {entry["path"] for entry in about["files"]}
    assert held == {
        *("LICENSE", "NOTICE", "README.md", "package.json"),
        *("endcap.js", "endcap.mjs", "endcap.d.ts", "endcap.d.mts"),
    }
    installed = shop / "node_modules" / "endcap-tracker"
    for name in ("LICENSE", "NOTICE"):
        assert (installed / name).read_bytes() == (ROOT / name).read_bytes()
    manifest = json.loads((installed / "package.json").read_text())
    ways = manifest["exports"]["."]
    told = [path for way in ("import", "require") for path in ways[way].values()]
    assert {path.removeprefix("./") for path in told} <= held
    assert about["version"] == endcap.__version__


@needs_node
@pytest.mark.parametrize(
    "script",
    [
        "import * as all from 'endcap-tracker'; NAMES",
        "import { createRequire } from 'node:module';"
        "const all = createRequire(process.cwd() + '/')('endcap-tracker'); NAMES",
        "const all = await import('endcap-tracker'); all.init({}); all.track('view'); NAMES",
        "globalThis.window = {}; const all = await import('endcap-tracker'); NAMES",
    ],
    ids=["import", "require", "used where there is no page", "half a window"],
)
def test_every_way_gives_exactly_the_declared_names(
    packed: tuple[Path, dict[str, Any]], script: str
) -> None:
    shop, _ = packed
    names = "console.log(JSON.stringify(Object.keys(all)))"
    told = run(shop, "node", "--input-type=module", "-e", script.replace("NAMES", names))
    assert sorted(json.loads(told)) == declared()


def test_the_declared_names_are_many() -> None:
    assert {"init", "track", "recommend", "consent"} <= set(declared())

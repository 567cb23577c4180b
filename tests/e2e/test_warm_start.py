"""Promise: who is told that the server is ready is answered in time, also on a new machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from http_shop import ENDCAP, ODD, ShopProcess

from endcap.events.opening import open_store
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings
from endcap.serve.compiling import make_up

pytestmark = pytest.mark.slow
ASKED = ("&context_items=i3", "", "&user_id=u1", "&user_id=u1&context_items=i4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("warm") / "shop"
    settings = Settings.parse({"store": {"folder": folder}})
    store = open_store(settings.store)
    make_up(store)
    train_store(store, load_recipe("shop"), settings)
    store.close()
    return folder


def late(folder: Path, cache: Path, command: list[str]) -> list[str]:
    """Return which of the first requests of a new server were not answered within a second."""
    env = {"NUMBA_CACHE_DIR": str(cache), "ENDCAP_SERVE__TIMEOUT_MS": "1000"}
    with ShopProcess(folder, command, env=env) as shop, shop.client() as client:
        client.timeout = 300
        assert client.get("/readyz").status_code == 200
        places = [place["name"] for place in client.get("/v1/placements").json()["placements"]]
        assert len(places) > 5
        asked = [f"placement={place}&k=10{more}" for place in places for more in ASKED]
        told = {one: client.get(f"/v1/recommendations?{one}").json() for one in asked}
    return [one for one, slate in told.items() if "not answered" in slate["reason"]]


def test_where_nothing_is_compiled_no_slate_is_late_once_it_is_ready(
    folder: Path, tmp_path: Path
) -> None:
    """Nor is anything compiled where it was before, as `docs/serving.md` says of images."""
    fill = [sys.executable, "-m", "endcap.serve.compiling"]
    assert late(folder, tmp_path, ENDCAP) == []
    compiled = set(tmp_path.rglob("*.nbi"))
    assert compiled
    subprocess.run(fill, env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "image")}, check=True)
    filled = {path.name for path in (tmp_path / "image").rglob("*.nbi")}
    assert {path.name for path in compiled} <= filled


def test_twin_a_server_that_tries_nothing_is_late(folder: Path, tmp_path: Path) -> None:
    assert late(folder, tmp_path, [*ODD, "cold"])

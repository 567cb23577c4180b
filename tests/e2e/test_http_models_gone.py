"""Row 26: whatever becomes of the models under load, every slate is full and says who made it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from http_shop import Askers, ShopProcess, fill

from endcap.events.opening import open_store
from endcap.recommend.artefacts import current, ids
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings
from endcap.testing.servers import until
from rounds import sized

pytestmark = [pytest.mark.slow, pytest.mark.torture]
TURNS = sized(1, 20)
"""How often all models are lost and come back."""


def name(folder: Path, artefact: str) -> None:
    """Say which artefact is to serve, as a promotion would, with nothing checked."""
    (folder / "models" / "named").write_text(artefact)
    (folder / "models" / "named").replace(folder / "models" / "current")


def damage(folder: Path, artefact: str) -> None:
    """Put rubbish in the place of each file."""
    for path in [path for path in (folder / "models" / artefact).rglob("*") if path.is_file()]:
        path.unlink()
        path.write_bytes(b"\0")


def test_row_26_models_that_are_damaged_or_gone_are_stood_in_for(tmp_path: Path) -> None:
    """The newest is damaged, then all are, then there are none, then all are back: in turns."""
    folder, sound = tmp_path / "shop", tmp_path / "sound"
    settings = Settings.parse({"store": {"folder": folder}})
    with ShopProcess(folder) as shop, shop.client() as client:
        fill(shop)
        store = open_store(settings.store)
        for seed in range(2):
            train_store(store, load_recipe("simple"), settings, seed=seed)
        store.close()
        older, newer = ids(folder)
        shutil.copytree(folder / "models", sound)

        def serves(artefact: str, why: str = "") -> Callable[[], bool]:
            def asked() -> bool:
                slate = client.get("/v1/recommendations?user_id=u1&k=5").json()
                return slate["artefact"] == artefact and why in (slate["reason"] or "")

            return asked

        until(serves(newer), 60)
        with Askers(shop.url, 3) as askers:
            for _ in range(TURNS):
                name(folder, older)
                until(serves(older))
                damage(folder, newer)
                name(folder, newer)
                until(serves(older, f"{newer} was refused"))
                damage(folder, older)
                name(folder, older)
                until(serves("", "was refused"))
                shutil.rmtree(folder / "models")
                until(serves("", "no model"))
                shutil.copytree(sound, folder / "models")
                assert current(folder) == newer
                until(serves(newer))
    assert set(askers.answers) == {(200, True)}
    assert {"catalogue", "personal"} <= askers.levels
    assert askers.degraded

"""Model folders: whole, honest about damage, and without any code in them."""

import json
import mmap
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from endcap.models import store
from endcap.models.base import Model
from endcap.models.ease import EASE
from endcap.models.item_knn import ItemKNN
from endcap.models.popular import Popular, PopularModel
from endcap.models.queries import Queries
from endcap.schema.errors import ArtefactError
from endcap.testing.contracts.models import shop


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "models" / "knn"
    store.save(ItemKNN(neighbours=3).fit(shop()), place, made_by="a test")
    return place


def test_arrays_are_mapped_not_read(folder: Path) -> None:
    model = store.load(folder)
    for array in (model.rows, model.effects.data, model.effects.indices):
        owner = array
        while isinstance(owner, np.ndarray):
            owner = owner.base
        assert isinstance(owner, mmap.mmap)
    assert model.spec == ItemKNN(neighbours=3)


def test_facts_stand_in_the_manifest(folder: Path) -> None:
    assert store.read_manifest(folder)["made_by"] == "a test"
    assert [p.name for p in folder.parent.iterdir()] == ["knn"]


def test_a_folder_is_never_overwritten(folder: Path) -> None:
    with pytest.raises(ArtefactError, match="never overwritten"):
        store.save(EASE().fit(shop()), folder)


@pytest.mark.parametrize("at", [0, -1, 200])
def test_one_changed_byte_is_found(folder: Path, at: int) -> None:
    for path in sorted(folder.iterdir()):
        if path.name == store.MANIFEST:
            continue
        whole = path.read_bytes()
        place = min(at, len(whole) - 1)
        damaged = bytearray(whole)
        damaged[place] ^= 0x40
        path.write_bytes(damaged)
        with pytest.raises(ArtefactError, match="missing or damaged"):
            store.load(folder)
        path.write_bytes(whole)
    store.load(folder)


def test_a_missing_file_is_found(folder: Path) -> None:
    next(folder.glob("effects*")).unlink()
    with pytest.raises(ArtefactError, match="missing or damaged"):
        store.load(folder)


def rewrite(folder: Path, **changes: Any) -> None:
    path = folder / store.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), "utf-8")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 99}, "reads 1"),
        ({"class": "os:system"}, "no model of an installed plug-in"),
        ({"class": "endcap.models.item_knn:np"}, "no model of an installed plug-in"),
        ({"class": "endcap.models.popular:PopularModel"}, "Train again"),
    ],
)
def test_strange_manifests_are_refused(folder: Path, changes: dict[str, Any], said: str) -> None:
    rewrite(folder, **changes)
    with pytest.raises(ArtefactError, match=said):
        store.load(folder)


def test_a_manifest_must_be_readable(folder: Path, tmp_path: Path) -> None:
    (folder / store.MANIFEST).write_text("{", encoding="utf-8")
    for place in (folder, tmp_path / "nowhere"):
        with pytest.raises(ArtefactError, match="no readable manifest"):
            store.load(place)


@dataclass(frozen=True)
class Odd(PopularModel):
    extra: Any


def test_what_cannot_be_saved_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    data = shop()
    odd = Odd(EASE(), data.users, data.items, np.zeros(3, np.float32), extra=object())
    with pytest.raises(ArtefactError, match="'extra' of type object"):
        store.save(odd, tmp_path / "odd")
    assert os.listdir(tmp_path) == []


def test_plain_values_come_back(tmp_path: Path) -> None:
    model = ItemKNN().fit(shop())
    for value in (None, True, 3, 2.5, "x"):
        store._write(tmp_path, "f", value)
        assert store._read(tmp_path, "f", store._write(tmp_path, "f", value), {}) == value
    assert isinstance(replace(model), Model)


def test_scores_of_an_untouched_item_survive(folder: Path) -> None:
    model = store.load(folder)
    assert np.isnan(model.scores(Queries.of_histories([[]]))).all()


def test_models_of_one_data_set_share_their_words(tmp_path: Path) -> None:
    data = shop()
    for name, spec in (("popular", Popular()), ("item-knn", ItemKNN())):
        store.save(spec.fit(data), tmp_path / name)
    one, other = (store.load(tmp_path / name) for name in ("popular", "item-knn"))
    assert one.items is other.items
    assert one.users == data.users
    assert [one.items.row(i) for i in data.items.ids(range(3))] == [0, 1, 2]

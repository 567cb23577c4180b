"""Row 37: folders that share a store serve one artefact: the one announced last."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from recommend_worlds import NOW, checkerboard, recipe

from endcap.events.opening import open_store
from endcap.events.store import Store
from endcap.recommend import distribution
from endcap.recommend.artefacts import KEEP, current, ids, load_artefact, rollback
from endcap.recommend.distribution import PARCEL, announced, share
from endcap.recommend.training import train
from endcap.schema.errors import ArtefactError, BusyError
from endcap.schema.settings import StoreSettings


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(StoreSettings(folder=tmp_path / "store"))) as opened:
        yield opened


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "one", tmp_path / "two"


def trained(folder: Path, n: int) -> str:
    """Train the nth artefact of a folder, n days after the first."""
    return train(checkerboard(), recipe(), folder, now=NOW + n * timedelta(days=1)).id


def test_what_one_folder_trains_or_takes_back_the_other_serves(
    store: Store, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distribution, "PART_BYTES", 1000)  # files of several parts
    one, two = folders
    assert not share(store, two)  # nothing anywhere
    first = trained(one, 0)
    assert (share(store, one), share(store, two)) == (True, True)
    assert current(two) == first
    assert load_artefact(two, first).id == first
    assert (share(store, one), share(store, two)) == (False, False)  # and that is that
    second = trained(two, 1)  # the other way round
    assert (share(store, two), share(store, one)) == (True, True)
    assert current(one) == second
    assert rollback(one) == first
    assert (share(store, one), share(store, two)) == (True, True)
    assert current(two) == first


def test_a_folder_that_was_away_follows_the_last_word(
    store: Store, folders: tuple[Path, Path]
) -> None:
    one, two = folders
    trained(two, 0)  # never announced: nobody looked
    share(store, two)
    for n in range(1, KEEP + 3):
        last = trained(one, n)
        share(store, one)
    share(store, two)
    assert current(one) == current(two) == last
    kept = {name.split("/")[1] for name in store.parcels.names(PARCEL)}
    assert kept == set(ids(one)[-2:])


def test_what_arrives_damaged_does_not_serve_and_is_fetched_again(
    store: Store, folders: tuple[Path, Path]
) -> None:
    one, two = folders
    first = trained(one, 0)
    share(store, one)
    share(store, two)
    second = trained(one, 1)
    share(store, one)
    largest = max(
        store.parcels.names(f"{PARCEL}{second}/"), key=lambda n: len(b"".join(store.parcels.get(n)))
    )
    whole = list(store.parcels.get(largest))
    store.parcels.put(largest, [whole[0][:-1] + bytes([whole[0][-1] ^ 1]), *whole[1:]])
    with pytest.raises(ArtefactError):
        share(store, two)
    assert current(two) == first
    store.parcels.put(largest, whole)
    share(store, two)
    assert current(two) == second


def test_what_is_not_in_the_store_is_said(store: Store, folders: tuple[Path, Path]) -> None:
    store.documents.write(distribution.ANNOUNCED, "20260329T010000000-0badc0de")
    with pytest.raises(ArtefactError, match="not in the store"):
        share(store, folders[1])
    told = announced(store)
    assert told is not None
    store.documents.write(distribution.ANNOUNCED, "../../etc", told.version)
    with pytest.raises(ArtefactError):
        share(store, folders[1])
    assert not ids(folders[1])


def test_who_is_told_to_stop_leaves_the_rest_for_another_time(
    store: Store, folders: tuple[Path, Path]
) -> None:
    one, two = folders
    first = trained(one, 0)
    with pytest.raises(BusyError):
        share(store, one, ended=lambda: True)
    assert announced(store) is None
    share(store, one)
    with pytest.raises(BusyError):
        share(store, two, ended=lambda: True)
    assert not ids(two)
    share(store, two)
    assert current(two) == first


def test_two_processes_of_a_folder_do_not_both_send(
    store: Store, folders: tuple[Path, Path]
) -> None:
    trained(folders[0], 0)
    with distribution._turn(folders[0]):
        assert not share(store, folders[0])
    assert share(store, folders[0])

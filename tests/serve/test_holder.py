"""Another artefact takes over while word of it arrives from all sides: nobody waits for ever."""

import threading
from pathlib import Path

import pytest

from endcap.events.opening import open_store
from endcap.prepare.dataset import Dataset
from endcap.recommend.placing import Places
from endcap.recommend.recipe import load_recipe
from endcap.recommend.recommender import Recommender
from endcap.recommend.training import train
from endcap.schema.settings import StoreSettings
from endcap.serve.holder import RecommenderHolder


class Loading:
    """A holder whose artefacts are tried out under a lock that slates need as well."""

    def __init__(self, folder: Path) -> None:
        self.store = open_store(StoreSettings(folder=folder))
        self.following = threading.Lock()
        self.trying = threading.Event()
        self.tried: list[str] = []
        places = Places(self.store.documents, folder)
        self.holder = RecommenderHolder(
            folder, places, try_out=self.try_out, on_swap=lambda: None, every_seconds=3600
        )

    def try_out(self, recommender: Recommender) -> None:
        self.holder.nudge()  # word of it arrives in the middle, in the same thread
        self.trying.set()
        with self.following:
            self.tried.append(recommender.artefact)

    def close(self) -> None:
        self.holder.close()
        self.store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = Dataset.of(list("uuv"), list("abb"))
    train(data, load_recipe("simple"), tmp_path)
    return tmp_path


def promote_another(folder: Path) -> None:
    train(Dataset.of(list("uvv"), list("aab")), load_recipe("simple"), folder)


def in_time(work: threading.Thread) -> bool:
    work.start()
    work.join(60)
    return not work.is_alive()


def test_word_of_an_artefact_that_arrives_while_it_is_tried_out(folder: Path) -> None:
    loading = Loading(folder)
    before = loading.holder.current.artefact
    promote_another(folder)
    assert in_time(threading.Thread(target=loading.holder.reload, daemon=True))
    assert loading.tried == [loading.holder.current.artefact] != [before]
    loading.close()


def test_word_that_arrives_where_a_slate_is_held_up_for_it(folder: Path) -> None:
    loading = Loading(folder)
    promote_another(folder)
    with loading.following:  # as a request that applies what other workers told
        loader = threading.Thread(target=loading.holder.reload, daemon=True)
        loader.start()
        assert loading.trying.wait(60)
        assert in_time(threading.Thread(target=loading.holder.nudge, daemon=True))
    loader.join(60)
    assert loading.tried == [loading.holder.current.artefact]
    loading.close()

"""Training tries an index, says what it found, and what is published answers with the same bits."""

from pathlib import Path

import numpy as np
import pytest

from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.recommend.artefacts import load_artefact
from endcap.recommend.recipe import Recipe
from endcap.recommend.training import train


def recipe(**more: object) -> Recipe:
    home = {"levels": [{"name": "personal", "weights": {"ials": 1.0}}]}
    models = {"ials": {"plugin": "ials", "settings": {"factors": 8, "epochs": 4}}}
    return Recipe.parse({"name": "r", "models": models, "placements": {"home": home}, **more})


@pytest.fixture(scope="module")
def data() -> Dataset:
    """600 people, each of one of 300 tastes for 10 items."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(600), 8)
    items = 10 * (users % 300) + rng.integers(0, 10, len(users))
    return Dataset.of([f"u{n}" for n in users], [f"i{n}" for n in items])


def test_an_index_is_tried_told_of_and_published(data: Dataset, tmp_path: Path) -> None:
    made = train(data, recipe(index_from=500), tmp_path)
    told = made.facts["indexes"]["ials"]
    model = load_artefact(tmp_path, made.id).models["ials"]
    assert (model.index is not None) == (told["choice"] == "index")
    assert {"recall", "probes", "lists", "ms", "exact_ms"} <= told.keys()
    one, again = made.models["ials"], Queries.of_users(data, [3])
    assert np.array_equal(
        one.opinion(again, 9).proposed.items, model.opinion(again, 9).proposed.items
    )
    assert np.array_equal(
        one.opinion(again, 9).proposed.scores, model.opinion(again, 9).proposed.scores
    )


def test_small_catalogues_are_not_tried(data: Dataset, tmp_path: Path) -> None:
    made = train(data, recipe(), tmp_path)
    assert made.facts["indexes"] == {}
    assert made.models["ials"].index is None

"""The benchmark of reasons on a small shop: what is stated is what deleting the evidence costs."""

import numpy as np
import pytest

from benchmarks import explanations
from endcap.models.specs import make
from endcap.prepare.dataset import Dataset
from endcap.recommend.artefacts import Artefact
from endcap.recommend.recipe import Level, load_recipe


@pytest.fixture(scope="module")
def known() -> Dataset:
    rng = np.random.default_rng(2)
    pairs = [(u, i) for u in range(60) for i in rng.permutation(30)[:8] if (u + i) % 2 or i % 3]
    return Dataset.of([f"u{u}" for u, _ in pairs], [f"i{i:02}" for _, i in pairs])


@pytest.mark.parametrize("weights", [{"ease": 0.7, "popular": 0.3}, {"user-knn": 1.0, "ials": 1.0}])
def test_a_thousand_reasons_are_true(known: Dataset, weights: dict[str, float]) -> None:
    settings = {"ease": {"l2": 5.0, "decay_events": 4.0}, "ials": {"factors": 6, "epochs": 3}}
    models = {name: make(name, settings.get(name, {})).fit(known) for name in weights}
    artefact = Artefact.of(load_recipe("simple"), models, end=known.end)
    level = Level(name="personal", weights=weights)
    found = explanations.judge(artefact, known, level, 1_000, seed=0)
    assert found["cases"] == 1_000
    assert found["exact"] == 1.0
    assert found["lost"] > 0.05

"""A factorisation machine knows from attributes what ratings have not said."""

import json

import numpy as np
import pyarrow as pa
import pytest

from endcap.models.biased_mf import BiasedMF
from endcap.models.fm import FM, directions
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.testing.oracles import rank_one_ratings

TASTE = {("young", "loud"): 5.0, ("young", "calm"): 1.0, ("old", "loud"): 2.0, ("old", "calm"): 4.0}


def world(noise: float = 0.0) -> tuple[Dataset, np.ndarray]:
    """Stars follow from age and mood alone; a tenth of the people and films has none."""
    rng = np.random.default_rng(0)
    ages = np.array(["young", "old"])[rng.integers(0, 2, 60)]
    moods = np.array(["loud", "calm"])[rng.integers(0, 2, 40)]
    truth = np.array([[TASTE[age, mood] for mood in moods] for age in ages])
    shown = rng.random(truth.shape) < 0.4
    shown[::10] = shown[:, ::10] = False
    users, items = shown.nonzero()
    data = Dataset.of(
        [f"u{u:02d}" for u in users],
        [f"i{i:02d}" for i in items],
        values=np.clip(truth[shown] + noise * rng.standard_normal(len(users)), 1, 5),
        catalogue=pa.table(
            {"item_id": [f"i{i:02d}" for i in range(40)], "categories": [[mood] for mood in moods]}
        ),
        people=pa.table(
            {
                "user_id": [f"u{u:02d}" for u in range(60)],
                "attributes": [json.dumps({"age": age}) for age in ages],
            }
        ),
    )
    return data, truth


def all_pairs(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    users, items = np.divmod(np.arange(shape[0] * shape[1], dtype=np.int32), shape[1])
    return users, items


def test_the_unrated_are_told_by_their_attributes() -> None:
    data, truth = world()
    fresh = np.zeros(truth.shape, bool)
    fresh[::10] = fresh[:, ::10] = True
    found = FM(factors=2, sweeps=120).fit(data).predict(*all_pairs(truth.shape))
    apart = (found.reshape(truth.shape) - truth)[fresh]
    assert np.sqrt(np.mean(apart**2)) < 0.4
    blind = BiasedMF(factors=2, epochs=120).fit(data).predict(*all_pairs(truth.shape))
    assert np.sqrt(np.mean((blind.reshape(truth.shape) - truth)[fresh] ** 2)) > 1.0


def test_an_item_nobody_rated_is_ranked_where_it_belongs() -> None:
    data, truth = world()
    model = FM(factors=2, sweeps=120).fit(data)
    scores = model.scores(Queries.of_users(data, np.arange(1, 60)))
    apart = (scores - truth[1:])[np.arange(1, 60) % 10 > 0][:, ::10]
    assert np.sqrt(np.mean(apart**2)) < 0.5
    deaf = FM(factors=2, sweeps=20, item_attributes=0).fit(data)
    assert not deaf.known[::10].any()
    assert model.known.all()


def test_without_attributes_it_is_the_chain_of_biased_mf() -> None:
    data = rank_one_ratings().data
    users, items = all_pairs(data.shape)
    ours = FM(factors=2, sweeps=30).fit(data, rng=4).predict(users, items)
    theirs = BiasedMF(factors=2, epochs=30).fit(data, rng=4).predict(users, items)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("k", [1, 3])
def test_directions_have_orthogonal_columns(k: int) -> None:
    data, _ = world()
    rows = data.matrix(None)
    found = directions(rows, k)
    products = found.T @ found
    assert found.shape == (60, k)
    np.testing.assert_allclose(products - np.diag(np.diag(products)), 0, atol=1e-6)

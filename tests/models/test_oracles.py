"""Worlds with one right answer: every collaborative model must give it, exactly."""

import numpy as np
import pytest

from endcap.models.queries import Queries
from endcap.models.specs import make
from endcap.testing.oracles import checkerboard, two_chains

COLLABORATIVE = [
    ("item-knn", {}),
    ("item-knn", {"weighting": "tf-idf"}),
    ("item-knn", {"weighting": "bm25", "similarity": "dot"}),
    ("item-knn", {"shrink": 10.0, "normalise": True}),
    ("user-knn", {}),
    ("user-knn", {"weighting": "none", "neighbours": 15}),
    ("ease", {}),
    ("ease", {"l2": 1.0, "item_norm": 0.5, "popularity": 0.2, "user_norm": 0.5}),
    ("slim", {"l1": 0.1, "l2": 1.0}),
    ("slim", {"l1": 0.0, "l2": 3.0, "confidence": "log"}),
    ("rp3beta", {}),
    ("user-knn", {"sharpness": 2.0, "popularity": -0.2}),
    ("spectral", {"linear": 0.5}),
    ("spectral", {"filter": "ideal", "factors": 2, "source": 0.5, "target": 0.5, "linear": 3.0}),
    ("bpr", {"factors": 8, "loss": "bpr", "l2": 0.001, "epochs": 60}),
    ("bpr", {"factors": 8, "loss": "warp", "l2": 0.001, "rivals": 0.5}),
    ("ials", {"factors": 8}),
    ("ials", {"factors": 8, "solver": "cholesky", "confidence": "log"}),
]


@pytest.mark.parametrize("sides", [(61, 43), (43, 61)])
@pytest.mark.parametrize(("name", "settings"), COLLABORATIVE)
def test_the_withheld_diagonal_of_a_checkerboard(
    name: str, settings: dict[str, object], sides: tuple[int, int]
) -> None:
    world = checkerboard(*sides)
    assert len(world.users) > 20
    model = make(name, settings).fit(world.data, rng=0)
    queries = Queries.of_users(world.data, world.users).excluding_history()
    found = model.retrieve(queries, 1)
    np.testing.assert_array_equal(found.items, world.answers)


@pytest.mark.parametrize(("name", "settings"), COLLABORATIVE)
def test_each_chain_goes_on_in_its_own_way(name: str, settings: dict[str, object]) -> None:
    world = two_chains()
    model = make(name, {**settings, **({"l2": 0.5} if name == "ease" else {})}).fit(world.data)
    queries = Queries.of_users(world.data, world.users).excluding_history()
    np.testing.assert_array_equal(model.retrieve(queries, 1).items, world.answers)


def test_popularity_cannot_do_it() -> None:
    world = checkerboard()
    queries = Queries.of_users(world.data, world.users).excluding_history()
    found = make("popular").fit(world.data).retrieve(queries, 1)
    assert (found.items == world.answers).mean() < 0.7

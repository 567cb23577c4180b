"""Ratings that follow a law are found again by every solver."""

import numpy as np
import pytest

from endcap.models.biased_mf import BiasedMF
from endcap.models.mf_rows import Prior, solve_rows
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import DataError
from endcap.testing.oracles import RatingOracle, rank_one_ratings

SOLVERS = {
    "gibbs": BiasedMF(factors=2, epochs=120),
    "als": BiasedMF(solver="als", factors=2, l2=0.003, epochs=60),
    "sgd": BiasedMF(solver="sgd", factors=2, l2=0.002, learning_rate=0.03, epochs=250),
    "adam": BiasedMF(solver="adam", factors=2, l2=0.002, learning_rate=0.02, epochs=1200),
}


@pytest.fixture(scope="module")
def world() -> RatingOracle:
    return rank_one_ratings()


@pytest.mark.parametrize("solver", SOLVERS)
def test_withheld_ratings_are_found(world: RatingOracle, solver: str) -> None:
    model = SOLVERS[solver].fit(world.data, rng=0)
    error = model.predict(world.users, world.items) - world.values
    spread = world.values.std()
    assert np.sqrt(np.mean(error**2)) < 0.25 * spread


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_stranger_with_the_same_ratings_gets_much_the_same(
    world: RatingOracle, solver: str
) -> None:
    model = SOLVERS[solver].fit(world.data, rng=0)
    folded = model.scores(Queries.of_users(world.data, np.arange(53)))
    error = folded[world.users, world.items] - world.values
    assert np.sqrt(np.mean(error**2)) < 0.35 * world.values.std()


@pytest.mark.parametrize("solver", ["als", "adam"])
def test_the_loss_falls_and_is_told(world: RatingOracle, solver: str) -> None:
    told: list[float] = []
    spec = SOLVERS[solver].model_copy(update={"epochs": 20})
    spec.fit(world.data, progress=lambda done, total, note="": told.append(float(note[5:])))
    assert len(told) == 20
    assert told[-1] < told[0]
    assert told == sorted(told, reverse=True)


def test_a_row_is_solved_like_a_dense_ridge() -> None:
    data = Dataset.of(["u"] * 3, ["a", "b", "d"], values=[1.0, -0.5, 0.25])
    table = data.matrix("value").astype(np.float64)
    other = np.random.default_rng(0).standard_normal((3, 4))
    prior = Prior(np.full((1, 4), 0.3), np.array([1.0, 2.0, 3.0, 4.0]), per_rating=0.5, noise=1.7)
    design = np.hstack([np.ones((3, 1)), other[:, 1:]])
    precision = np.diag(prior.precision + 0.5 * 3)
    right = precision @ prior.mean[0] + 1.7 * design.T @ (table.data - other[:, 0])
    expected = np.linalg.solve(precision + 1.7 * design.T @ design, right)
    np.testing.assert_allclose(solve_rows(table, other, prior)[0], expected)


def test_draws_have_the_spread_of_the_posterior() -> None:
    n = 4000
    data = Dataset.of([f"u{i:05d}" for i in range(n)], ["a"] * n, values=np.zeros(n))
    table = data.matrix("value").astype(np.float64)
    prior = Prior(np.zeros((n, 2)), np.array([2.0, 1.0]), noise=3.0)
    normals = np.random.default_rng(0).standard_normal((n, 2))
    drawn = solve_rows(table, np.array([[0.0, 0.5]]), prior, normals)
    design = np.array([[1.0, 0.5]])
    covariance = np.linalg.inv(np.diag(prior.precision) + 3 * design.T @ design)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.03)


def test_unknown_users_and_items_are_answered_by_what_is_left(world: RatingOracle) -> None:
    model = SOLVERS["als"].fit(world.data)
    nobody, nothing = np.array([-1], np.int32), np.array([-1], np.int32)
    np.testing.assert_allclose(model.predict(nobody, nothing), model.mean, rtol=1e-6)
    bias = model.mean + model.item_rows[3, 0, 0]
    np.testing.assert_allclose(model.predict(nobody, np.array([3])), bias, rtol=1e-5)


def test_predictions_stay_on_the_scale(world: RatingOracle) -> None:
    model = SOLVERS["sgd"].fit(world.data)
    users, items = np.divmod(np.arange(53 * 37, dtype=np.int32), 37)
    found = model.predict(users, items)
    assert found.min() >= np.float32(model.low)
    assert found.max() <= np.float32(model.high)


def test_the_newest_rating_counts() -> None:
    data = Dataset.of(["u", "u", "v"], ["i", "i", "i"], values=[1.0, 5.0, 5.0], times=[1, 2, 3])
    model = BiasedMF(solver="als").fit(data)
    assert (model.mean, model.low) == (5.0, 5.0)


def test_purchases_without_ratings_are_refused_with_a_hint() -> None:
    with pytest.raises(DataError, match=r"None of the 1 interactions carries a rating.*ials"):
        BiasedMF().fit(Dataset.of(["u"], ["i"]))


def test_who_rated_what_tells_of_strangers() -> None:
    """Two camps rate different shelves; a newcomer's choice of shelf tells what they will like."""
    rows = [(u, i, 5.0 if (u < 20) == (i < 10) else 1.0) for u in range(40) for i in range(20)]
    shown = [r for r in rows if (r[0] < 20) == (r[1] < 10) or (r[0] + r[1]) % 5 == 0]
    data = Dataset.of(
        [f"u{r[0]:02d}" for r in shown],
        [f"i{r[1]:02d}" for r in shown],
        values=[r[2] for r in shown],
    )
    with_side, without = (
        BiasedMF(factors=2, epochs=80, side_features=k).fit(data, 0) for k in (8, 0)
    )
    query = Queries.of_histories([[1, 2, 3]], values=[[5.0, 5.0, 5.0]])
    for model in (with_side, without):
        scores = model.scores(query)[0]
        assert scores[4:10].min() > scores[10:].max()
    assert with_side.effects.shape == (60, 8, 3)
    assert without.effects.shape == (60, 0, 3)

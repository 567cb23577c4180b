"""The trees answer what LightGBM answers, bit by bit of its text format."""

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from endcap.models.trees import Trees
from endcap.schema.errors import DataError

WIDTH = 5


def grown(seed: int, *, zero_as_missing: bool = False, holes: float = 0.2, rounds: int = 12):
    """Fit a ranker on 400 rows in lists of ten, a fifth of the values missing or zero."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(400, WIDTH)).round(2)
    rows[random.random(rows.shape) < holes] = 0.0 if zero_as_missing else np.nan
    labels = np.nan_to_num(rows[:, 0]) + random.normal(size=400) > 1
    return lightgbm.train(
        {
            "objective": "lambdarank",
            "verbosity": -1,
            "num_leaves": 7,
            "min_data_in_leaf": 5,
            "zero_as_missing": zero_as_missing,
            "num_threads": 1,
            "seed": seed,
        },
        lightgbm.Dataset(rows, labels, group=[10] * 40),
        rounds,
    )


MODELS = [
    grown(0),
    grown(1, holes=0.0),
    grown(2, zero_as_missing=True),
    grown(3, holes=0.9, rounds=3),
]
VALUES = st.one_of(
    st.floats(-4, 4, width=32), st.just(np.nan), st.just(0.0), st.just(1e-36), st.just(-1e-36)
)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, len(MODELS) - 1), arrays.arrays(np.float64, (7, WIDTH), elements=VALUES))
def test_every_row_scores_as_in_lightgbm(which: int, rows: np.ndarray) -> None:
    booster = MODELS[which]
    expected = booster.predict(rows, raw_score=True)
    found = Trees.parse(booster.model_to_string()).predict(rows)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_thresholds_are_met_exactly() -> None:
    """A value on a threshold goes left: the rows on which splits were made tell."""
    for booster in MODELS:
        trees = Trees.parse(booster.model_to_string())
        rows = np.tile(trees.thresholds[:, None], (1, WIDTH))
        near = np.concatenate((rows, np.nextafter(rows, np.inf), np.nextafter(rows, -np.inf)))
        np.testing.assert_allclose(
            trees.predict(near), booster.predict(near, raw_score=True), rtol=0, atol=1e-6
        )


def test_a_tree_that_cannot_split_is_its_leaf() -> None:
    rows = np.zeros((60, WIDTH))
    data = lightgbm.Dataset(rows, np.arange(60) % 2 + 3.0)
    booster = lightgbm.train({"objective": "regression", "verbosity": -1}, data, 2)
    trees = Trees.parse(booster.model_to_string())
    np.testing.assert_allclose(trees.predict(rows), booster.predict(rows), atol=1e-6)


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(DataError, match="no LightGBM model"):
        Trees.parse("tree\nversion=v4\n")
    rows = np.arange(200.0)[:, None] % 8
    labels = (rows[:, 0] % 2).astype(float)
    data = lightgbm.Dataset(rows, labels, categorical_feature=[0])
    booster = lightgbm.train(
        {"objective": "binary", "verbosity": -1, "min_data_per_group": 1, "cat_smooth": 1}, data, 2
    )
    with pytest.raises(DataError, match="Categorical splits"):
        Trees.parse(booster.model_to_string())


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(DataError, match=r"\(2, 3\) for trees that read 5 features"):
        Trees.parse(MODELS[0].model_to_string()).predict(np.zeros((2, 3)))

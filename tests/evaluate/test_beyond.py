"""Measures beyond accuracy, against figures reckoned by hand."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from endcap.evaluate import beyond
from endcap.evaluate.attributes import item_groups, item_vectors
from endcap.models.candidates import Candidates
from endcap.prepare.dataset import Dataset


def shown(*lists: list[int], items: int = 4) -> sparse.csr_array:
    return beyond.membership(Candidates.of(lists), items)


def test_coverage_is_the_share_shown_at_all() -> None:
    assert beyond.coverage(np.array([3.0, 0, 1, 0])) == 0.5


@pytest.mark.parametrize(
    ("exposure", "expected"),
    [([5, 5, 5, 5], 0.0), ([0, 0, 0, 8], 0.75), ([1, 3], 0.25), ([0, 0, 1, 3], 0.625)],
)
def test_gini_of_known_cases(exposure: list[float], expected: float) -> None:
    assert beyond.gini(np.array(exposure, float)) == pytest.approx(expected)


@given(st.lists(st.integers(0, 20), min_size=2, max_size=12).filter(any))
def test_gini_equals_the_mean_absolute_difference(exposure: list[int]) -> None:
    x = np.array(exposure, float)
    naive = np.abs(x[:, None] - x).mean() / (2 * x.mean())
    assert beyond.gini(x) == pytest.approx(naive, abs=1e-12)


def test_gini_takes_many_audiences_at_once() -> None:
    both = beyond.gini(np.array([[5.0, 5, 5, 5], [0, 0, 0, 8]]))
    np.testing.assert_allclose(both, [0, 0.75], atol=1e-12)


def test_novelty_is_self_information_in_bits() -> None:
    buyers = np.array([7, 3, 1, 0])  # of 7 users: p = 8/8, 4/8, 2/8, 1/8
    bits = beyond.novelty(shown([0, 1], [3], []), buyers, 7)
    assert bits[:2].tolist() == [0.5, 3.0]
    assert math.isnan(bits[2])


def test_popular_share_counts_places_of_the_top_fifth() -> None:
    buyers = np.array([9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 0])  # ten sold: two are the head
    share = beyond.popular_share(shown([0, 1], [0, 9], [10], items=11), buyers)
    assert share.tolist() == [1.0, 0.5, 0.0]


def test_diversity_is_the_mean_distance_of_pairs() -> None:
    vectors = sparse.csr_array(np.array([[1.0, 0], [1, 0], [0, 1], [0, 0]]))
    found = beyond.diversity(shown([0, 1], [0, 2], [0, 1, 2], [3, 0], [1], []), vectors)
    np.testing.assert_allclose(found[:4], [0, 1, 2 / 3, 1])
    assert np.isnan(found[4:]).all()


def test_miscalibration_is_0_for_the_same_mix_and_grows_apart() -> None:
    groups = sparse.csr_array(np.array([[1.0, 0], [1, 0], [0, 1], [0, 0]]))
    history = sparse.csr_array(np.array([[1.0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]))
    found = beyond.miscalibration(history, shown([1, 2], [2, 2], [0], []), groups)
    assert found[0] == pytest.approx(0)
    assert found[1] == pytest.approx(math.log(1 / 0.01))  # p = (1, 0), q = (0, 1), alpha = 0.01
    assert np.isnan(found[2:]).all()


def test_miscalibration_of_a_half_right_mix() -> None:
    groups = sparse.csr_array(np.eye(2))
    history = sparse.csr_array(np.array([[3.0, 1]]))
    q = 0.99 * 0.5 + 0.01 * np.array([0.75, 0.25])
    expected = 0.75 * math.log(0.75 / q[0]) + 0.25 * math.log(0.25 / q[1])
    found = beyond.miscalibration(history, shown([0, 1], items=2), groups)
    assert found[0] == pytest.approx(expected)


def catalogue(**columns: list[object]) -> pa.Table:
    ids = [f"i{n}" for n in range(len(next(iter(columns.values()))))]
    return Dataset.of([], [], catalogue=pa.table({"item_id": ids, **columns})).item_table


def test_groups_are_first_levels_of_categories() -> None:
    table = catalogue(categories=[["Home > Lamps"], ["Home > Rugs", "Gift"], [], None])
    groups = item_groups(table)
    assert groups is not None
    assert (groups.by, groups.names) == ("category", ["Gift", "Home"])
    assert groups.matrix.toarray().tolist() == [[0, 1], [0.5, 0.5], [0, 0], [0, 0]]


def test_groups_fall_back_to_price_classes_of_equal_size() -> None:
    groups = item_groups(catalogue(price=[1.0, 2.0, 3.0, 4.0, 5.0, None]))
    assert groups is not None
    assert groups.by == "price"
    assert groups.matrix.sum(axis=0).tolist() == [1, 1, 1, 1, 1]
    assert groups.matrix.sum(axis=1).tolist() == [1, 1, 1, 1, 1, 0]
    assert groups.names[0].startswith("< ")


@pytest.mark.parametrize("columns", [{"price": [None, None]}, {"categories": [["A"], ["A > B"]]}])
def test_no_groups_where_nothing_tells_items_apart(columns: dict[str, list[object]]) -> None:
    assert item_groups(catalogue(**columns)) is None


def test_vectors_are_unit_length_words_with_chinese_characters_apart() -> None:
    vectors = item_vectors(
        catalogue(
            title=["Red LAMP", "red spade", "红灯", "绿灯", None],
            brand=["X", None, None, None, None],
        )
    )
    assert vectors is not None
    alike = (vectors @ vectors.T).toarray()
    np.testing.assert_allclose(np.diag(alike), [1, 1, 1, 1, 0], atol=1e-6)
    assert alike[0, 1] > 0
    assert alike[2, 3] > 0
    assert alike[0, 2] == 0


def test_no_vectors_without_words() -> None:
    assert item_vectors(catalogue(title=[None, None])) is None

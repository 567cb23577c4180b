"""What an event counts when answering is what it counted in training."""

import numpy as np
import pytest

from endcap.models.item_knn import ItemKNN
from endcap.models.queries import Queries
from endcap.models.weighting import bm25, idf, tf_idf
from endcap.prepare.dataset import Dataset

USERS = ["u", "u", "u", "v"]
ITEMS = ["a", "b", "a", "b"]
WEIGHTS = [1.0, 2.0, 3.0, 0.5]


@pytest.mark.parametrize(
    ("confidence", "row"),
    [("binary", [1, 1]), ("weight", [4, 2]), ("log", [np.log(5), np.log(3)])],
)
def test_parts_of_events_sum_to_the_training_row(confidence: str, row: list[float]) -> None:
    data = Dataset.of(USERS, ITEMS, weights=WEIGHTS)
    spec = ItemKNN(confidence=confidence)
    np.testing.assert_allclose(spec.train_matrix(data).toarray()[0], row, rtol=1e-6)
    parts = spec.event_weights(Queries.of_users(data, [0, 1]))
    np.testing.assert_allclose([parts[0] + parts[2], parts[1]], row, rtol=1e-6)
    np.testing.assert_allclose(parts[2], 3 * parts[0], rtol=1e-6)


def test_old_events_fade_and_an_item_is_as_old_as_its_newest_event() -> None:
    spec = ItemKNN(decay_events=2.0)
    parts = spec.event_weights(Queries.of_histories([[5, 7, 5], [9]]))
    np.testing.assert_allclose(parts, [0.5, np.exp(-0.5), 0.5, 1.0], rtol=1e-6)


@pytest.mark.parametrize("confidence", ["binary", "weight", "log"])
@pytest.mark.parametrize("decay", [0.0, 2.0])
@pytest.mark.parametrize("kinds", [(), ("purchase",)])
def test_weights_without_a_group_are_those_of_the_history_without_it(
    confidence: str, decay: float, kinds: tuple[str, ...]
) -> None:
    spec = ItemKNN(confidence=confidence, decay_events=decay, kinds=kinds)
    told = ["view", "purchase", "purchase", "view", "purchase", "purchase"]
    query = Queries.of_histories(
        [[5, 7, 5, -1, 9, 7]], weights=[[1.0, 2.0, 3.0, 1.0, -1.0, 0.5]], kinds=[told]
    )
    groups = np.array([0, 1, 0, -1, 2, 1])
    found = spec.event_weights_without(query, groups, 3)
    left = spec.event_weights(query.leaving_out(groups, 3))
    assert found[groups != np.arange(3)[:, None]].tolist() == left.tolist()
    assert not found[groups == np.arange(3)[:, None]].any()


def test_unknown_items_and_dislike_count_nothing() -> None:
    queries = Queries.of_histories([[-1, 3, 4]], weights=[[1.0, -2.0, 1.0]])
    assert ItemKNN().event_weights(queries).tolist() == [0, 0, 1]
    assert len(ItemKNN().event_weights(Queries.of_histories([[], []]))) == 0


def test_search_weights_equal_their_formulas() -> None:
    documents = Dataset.of(USERS, ITEMS, weights=WEIGHTS).matrix()
    dense = documents.toarray()
    rarity = np.log1p((2 - np.array([1, 2]) + 0.5) / (np.array([1, 2]) + 0.5))
    np.testing.assert_allclose(idf(documents), rarity)
    np.testing.assert_allclose(tf_idf(documents).toarray(), np.sqrt(dense) * rarity, rtol=1e-6)
    length = dense.sum(axis=1, keepdims=True)
    norm = 1.2 * (0.25 + 0.75 * length / length.mean())
    expected = rarity * 2.2 * dense / (norm + dense)
    np.testing.assert_allclose(bm25(documents, 1.2, 0.75).toarray(), expected, rtol=1e-6)

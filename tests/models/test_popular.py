"""Counting people, and letting them fade."""

import numpy as np
import pytest

from endcap.models.popular import Popular
from endcap.models.queries import Queries
from endcap.models.trending import DAY_US, Trending
from endcap.prepare.dataset import Dataset
from endcap.testing.oracles import popularity_with_ties, trends

NOBODY = Queries.of_histories([[]])


def test_each_person_counts_once_and_ties_fall_by_id() -> None:
    data, order = popularity_with_ties()
    found = Popular().fit(data).retrieve(NOBODY, 10)
    assert data.items.ids(found.items) == order
    assert found.scores.tolist() == [5, 3, 3, 2, 1]


@pytest.mark.parametrize(("count", "most"), [("events", 12), ("weight", 24)])
def test_events_and_weights_can_be_counted_instead(count: str, most: float) -> None:
    data, _ = popularity_with_ties()
    twice = Dataset.of(
        data.users.ids(data.column("user")),
        data.items.ids(data.column("item")),
        weights=np.full(data.interactions.num_rows, 2.0),
    )
    found = Popular(count=count).fit(twice).retrieve(NOBODY, 1)
    assert data.items.ids(found.items) == ["e"]
    assert found.scores.tolist() == [most]


def test_what_is_taken_now_beats_what_was() -> None:
    data, order = trends()
    found = Trending(half_life_days=7).fit(data).retrieve(NOBODY, 2)
    assert data.items.ids(found.items) == order
    np.testing.assert_allclose(found.scores, [2, 5 * 2 ** (-100 / 7)], rtol=1e-5)
    patient = Trending(half_life_days=1000).fit(data).retrieve(NOBODY, 2)
    assert data.items.ids(patient.items) == order[::-1]


def test_only_the_newest_event_of_a_person_counts() -> None:
    data = Dataset.of(["u", "u", "v"], ["i", "i", "j"], times=np.array([0, 7, 7]) * DAY_US)
    assert Trending(half_life_days=7).fit(data).counts.tolist() == [1, 1]

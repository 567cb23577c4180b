"""The features of a ranker against a plain loop over events."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.features.labels import item_labels
from endcap.models.candidates import Candidates
from endcap.models.queries import Queries
from endcap.models.ranking import LIKENESS, RECENT, ItemFacts, feature_names, features
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import DAY_US

KINDS = ("purchase", "view")
N_ITEMS = 7


def shop() -> Dataset:
    catalogue = pa.table(
        {
            "item_id": [f"i{n}" for n in range(N_ITEMS)],
            "brand": ["a", "b", None, "a", "b", None, "a"],
            "categories": [["x"], ["y > z"], ["x"], [], ["y"], ["x"], ["x"]],
            "price": pa.array([1.0, 2.0, 4.0, None, 8.0, 16.0, 0.0]),
        }
    )
    return Dataset.of(
        ["u", "u", "v", "v", "w"],
        ["i0", "i1", "i1", "i4", "i5"],
        times=np.array([1, 2, 3, 30, 40]) * DAY_US,
        kinds=["view", "purchase", "view", "purchase", "purchase"],
        catalogue=catalogue,
    )


DATA = shop()
FACTS = ItemFacts.of(DATA)
event = st.tuples(st.integers(-1, N_ITEMS - 1), st.sampled_from(KINDS))
history = st.lists(event, max_size=6)
shortlist = st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=5)


def columns(queries: Queries, lists: Candidates, shares: np.ndarray) -> dict[str, np.ndarray]:
    rows = features(FACTS, KINDS, queries, lists, shares)
    names = feature_names(["one"], KINDS)
    assert rows.shape == (len(lists.items), len(names))
    assert rows.dtype == np.float32
    return dict(zip(names, rows.T, strict=True))


def same_share(items: list[int], codes: np.ndarray, item: int) -> float:
    told = [codes[i] for i in items if i >= 0 and codes[i] >= 0]
    return told.count(codes[item]) / len(told) if told and codes[item] >= 0 else np.nan


def alike(past: list[int], item: int) -> list[float]:
    """Mean, most and last cosine of the labels that not half of the items bear."""
    named = item_labels(DATA.item_table)
    counts = Counter(label for row in named for label in row)
    told = [{label for label in row if 2 <= counts[label] < N_ITEMS / 2} for row in named]
    known = [told[i] for i in past[-RECENT:] if i >= 0 and told[i]]
    if not known or not told[item]:
        return [np.nan] * 3
    found = [len(told[item] & one) / np.sqrt(len(told[item]) * len(one)) for one in known]
    return [float(np.mean(found)), max(found), found[-1]]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(history, shortlist), min_size=1, max_size=4), st.integers(0, 9))
def test_features_are_those_of_a_plain_loop(
    asked: list[tuple[list[tuple[int, str]], list[int]]], seed: int
) -> None:
    random = np.random.default_rng(seed)
    queries = Queries.of_histories(
        [[item for item, _ in events] for events, _ in asked],
        kinds=[[kind for _, kind in events] for events, _ in asked],
        times=[np.arange(len(events)) * DAY_US for events, _ in asked],
    )
    scores = [random.integers(0, 3, len(items)) / 2 for _, items in asked]
    lists = Candidates.of([items for _, items in asked], scores)
    shares = random.integers(0, 3, (1, len(lists.items))).astype(np.float32)
    found = columns(queries, lists, shares)
    n = 0
    for q, (events, items) in enumerate(asked):
        past = [item for item, _ in events]
        prices = [FACTS.price[i] for i in past if i >= 0 and np.isfinite(FACTS.price[i])]
        row = slice(lists.indptr[q], lists.indptr[q + 1])
        for place, item in enumerate(items):
            expected = {
                "share_one": shares[0, n],
                "place_one": (shares[0, row] > shares[0, n]).sum(),
                "own_purchase": events.count((item, "purchase")),
                "own_view": events.count((item, "view")),
                "score": scores[q][place],
                "place": (scores[q] > scores[q][place]).sum(),
                "history_events": len(events),
                "history_items": len(set(past) - {-1}),
                "idle_days": 40 - (len(events) - 1) if events else np.nan,
                "own_age_events": past[::-1].index(item) if item in past else np.nan,
                "price_apart": FACTS.price[item] - np.mean(prices) if prices else np.nan,
                "department_share": same_share(past, FACTS.department, item),
                "brand_share": same_share(past, FACTS.brand, item),
                **dict(zip(LIKENESS, alike(past, item), strict=True)),
            }
            for name, value in expected.items():
                assert found[name][n] == pytest.approx(value, abs=1e-5, nan_ok=True), name
            n += 1


def test_facts_of_items_are_their_counts_and_the_catalogue() -> None:
    queries = Queries.of_histories([[]])
    lists = Candidates.of([np.arange(N_ITEMS)], [np.zeros(N_ITEMS)])
    found = columns(queries, lists, np.zeros((1, N_ITEMS), np.float32))
    np.testing.assert_allclose(found["events"], np.log1p([1, 2, 0, 0, 1, 1, 0]), rtol=1e-6)
    assert found["popularity_1d"].argmax() == 5
    assert np.isnan(FACTS.price).tolist() == [False] * 3 + [True, False, False, True]
    assert np.isnan(found["price_apart"]).all()

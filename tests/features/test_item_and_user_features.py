"""Features as of a moment, on a shop small enough to count by hand."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from endcap.features.catalogue import departments, price_buckets
from endcap.features.items import ItemFeatureSpec, item_features
from endcap.features.users import user_features
from endcap.prepare.dataset import Dataset
from endcap.prepare.weights import DAY_US
from endcap.schema.tables import MONEY, TIME

CATALOGUE = pa.table(
    {
        "item_id": ["cup", "lamp", "new", "vase"],
        "categories": [["Kitchen > Cups"], ["Home > Lights", "Sale"], [], None],
        "brand": ["Zed", "Acme", None, "Acme"],
        "price": pa.array(["2.00", "30.00", "9.00", None]).cast(MONEY),
        "sale_price": pa.array([None, "20.00", None, None]).cast(MONEY),
        "created": pa.array([0, 2 * DAY_US, 50 * DAY_US, None]).cast(TIME),
    }
)


@pytest.fixture(scope="module")
def data():
    rows = [  # user, item, day, kind, session
        ("ann", "cup", 1, "purchase", 0),
        ("ann", "cup", 3, "view", 1),
        ("ann", "lamp", 3, "purchase", 1),
        ("bob", "cup", 7, "view", 2),
        ("bob", "vase", 8, "purchase", 3),
        ("cat", "lamp", 20, "purchase", 4),
    ]
    users, items, days, kinds, sessions = zip(*rows, strict=True)
    return Dataset.of(
        users, items, times=np.array(days) * DAY_US, kinds=kinds, sessions=sessions,
        catalogue=CATALOGUE, people=pa.table({"user_id": ["zoe"]}),
    )  # fmt: skip


def by(table, key):
    return {row[key]: row for row in table.to_pylist()}


def test_items_are_described_by_what_came_before(data):
    found = by(item_features(data, 9 * DAY_US, ItemFeatureSpec(windows_days=(1, 2))), "item_id")
    cup, lamp, new, vase = (found[name] for name in ("cup", "lamp", "new", "vase"))
    assert (cup["events"], cup["users"], cup["age_days"]) == (3, 2, 9.0)
    assert cup["popularity_2d"] == pytest.approx(2**-4 + 2**-3 + 2**-1)
    assert cup["popularity_1d"] == pytest.approx(2**-8 + 2**-6 + 2**-2)
    assert (lamp["price"], lamp["events"], lamp["age_days"]) == (20.0, 1, 7.0)
    assert (new["events"], new["age_days"], new["trend"]) == (0, None, 0.0)
    assert (vase["price"], vase["price_bucket"], vase["age_days"]) == (None, None, 1.0)
    assert vase["trend"] > cup["trend"]
    assert [found[n]["department"] for n in sorted(found)] == [1, 0, -1, -1]
    assert [found[n]["brand"] for n in sorted(found)] == [1, 0, -1, 0]


def test_users_are_described_by_what_came_before(data):
    found = by(user_features(data, datetime(1970, 1, 10, tzinfo=UTC)), "user_id")
    ann, bob, cat = found["ann"], found["bob"], found["cat"]
    assert (ann["recency_days"], ann["tenure_days"], ann["frequency"]) == (6.0, 8.0, 2)
    assert (ann["events"], ann["items"], ann["spend"]) == (3, 2, 22.0)
    assert ann["top_departments"] == ["Kitchen", "Home"]
    assert ann["diversity"] == pytest.approx(
        -(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)) / np.log(2)
    )
    assert (bob["spend"], bob["diversity"], bob["top_departments"]) == (0.0, 0.0, ["Kitchen"])
    assert set(cat.values()) == {"cat", None}
    assert set(found["zoe"].values()) == {"zoe", None}


@pytest.mark.parametrize("describe", [item_features, user_features])
@pytest.mark.parametrize("day", [0, 1, 3, 8, 9, 21])
def test_nothing_leaks_from_the_future(data, describe, day):
    moment = day * DAY_US
    before = data.where(data.column("time") < moment)
    assert describe(data, moment).equals(describe(before, moment))


def test_an_event_moves_the_features_only_after_it(data):
    assert not item_features(data, 20 * DAY_US).equals(item_features(data, 20 * DAY_US + 1))
    assert user_features(data, 8 * DAY_US).equals(user_features(data, 8 * DAY_US))


def test_a_request_sees_what_training_saw(data):
    """A data set of one shopper's own events answers like the whole for that shopper."""
    ann = data.where(np.isin(data.column("user"), [data.users.row("ann")]))
    moment = 9 * DAY_US
    assert (
        by(user_features(ann, moment), "user_id")["ann"]
        == (by(user_features(data, moment), "user_id")["ann"])
    )


def test_prices_are_judged_within_the_department():
    price = np.array([1, 2, 3, 4, 100, 200, 300, 400, np.nan, 5.0])
    group = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, -1], np.int32)
    assert price_buckets(price, group, 2, 4).tolist() == [0, 0, 1, 1, 0, 0, 1, 1, -1, 1]
    assert price_buckets(price, group, 2, 5).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, -1, 1]
    assert price_buckets(np.array([np.nan]), np.array([-1], np.int32), 2, 2).tolist() == [-1]


def test_departments_are_the_top_of_the_first_path():
    assert departments(CATALOGUE).names == ["Home", "Kitchen"]

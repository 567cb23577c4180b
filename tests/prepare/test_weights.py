"""One rule for the weight of an interaction, whatever form its columns have."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.prepare.weights import DAY_US, kind_weights, microseconds, weigh
from endcap.schema.kinds import KINDS

TABLE = kind_weights({"sneeze": 2.0, "view": 0.5})


def test_the_table_is_the_built_in_one_under_the_settings():
    assert TABLE["sneeze"] == 2.0
    assert TABLE["view"] == 0.5
    assert kind_weights()["purchase"] == KINDS["purchase"].weight


@pytest.mark.parametrize(
    "column",
    [
        ["view", "purchase", "sneeze", "unheard"],
        np.array(["view", "purchase", "sneeze", "unheard"]),
        pa.array(["view", "purchase", "sneeze", "unheard"]),
        pa.array(["view", "purchase", "sneeze", "unheard"]).dictionary_encode(),
        pa.chunked_array([["view", "purchase"], ["sneeze", "unheard"]]),
        pa.chunked_array([["view", "purchase"], ["sneeze", "unheard"]]).dictionary_encode(),
    ],
)
def test_every_form_of_a_column_weighs_the_same(column):
    times = np.array([0, -10, -20, 0]) * DAY_US
    found = weigh(column, times, 0, 10.0, TABLE)
    assert found.dtype == np.float32
    assert found.tolist() == [0.5, 2.5, 0.5, 0.0]


def test_a_null_kind_weighs_nothing_and_no_rows_are_fine():
    assert weigh(pa.array(["view", None]), [0, 0], 0, 1.0, TABLE).tolist() == [0.5, 0.0]
    assert weigh([], [], 0, 1.0, TABLE).tolist() == []


@settings(deadline=None)
@given(
    st.lists(st.integers(-(10**17), 10**17), min_size=2, max_size=20),
    st.floats(0.01, 1e4),
    st.sampled_from(["view", "cart", "purchase"]),
)
def test_weights_fall_with_age_and_never_vanish(times, half_life, kind):
    times = np.sort(np.array(times, np.int64))
    found = weigh([kind] * len(times), times, 0, half_life, TABLE)
    assert (np.diff(found) >= 0).all()
    assert (found > 0).all()
    assert found.max() <= TABLE[kind]
    stronger = weigh(["purchase"] * len(times), times, 0, half_life, TABLE)
    assert (stronger >= found).all()


def test_now_may_be_one_moment_or_one_each_or_a_datetime():
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    us = microseconds(moment)
    elsewhere = moment.astimezone(timezone(timedelta(hours=8)))
    assert microseconds(elsewhere) == us == int(moment.timestamp()) * 10**6
    times = [us - 3 * DAY_US, us - 6 * DAY_US]
    by_datetime = weigh(["view", "view"], times, elsewhere, 3.0, TABLE)
    assert by_datetime.tolist() == [0.25, 0.125]
    assert weigh(["view"] * 2, times, us, 3.0, TABLE).tolist() == by_datetime.tolist()
    assert weigh(["view"] * 2, times, np.array(times), 3.0, TABLE).tolist() == [0.5, 0.5]

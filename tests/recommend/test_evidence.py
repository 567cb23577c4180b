"""From a history to a query: the same weights as training, the right part of the past."""

from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from recommend_worlds import DAY_US, NOW, checkerboard, micros

from endcap.models.queries import Queries
from endcap.prepare.vocabulary import Vocabulary
from endcap.prepare.weights import weigh
from endcap.recommend.evidence import MINUTE_US, Moment, seen
from endcap.recommend.recipe import Hide
from endcap.recommend.state import History
from endcap.recommend.weighing import Weighing

NAN = float("nan")
T = micros(NOW)
WORDS = Vocabulary(["a", "b", "c", "d"])


def test_what_was_in_training_weighs_what_it_weighed_there():
    data = checkerboard()
    table = {"purchase": 5.0}
    weighed = weigh(
        ["purchase"] * data.interactions.num_rows, data.column("time"), data.end, 60, table
    )
    at = data.interactions.schema.get_field_index("weight")
    import pyarrow as pa

    data = type(data)(
        data.interactions.set_column(at, data.interactions.schema.field(at), pa.array(weighed)),
        data.users,
        data.items,
        data.item_table,
        data.user_table,
    )
    user = data.users.row("u05")
    trained = Queries.of_users(data, [user])
    history = History(
        data.items.ids(trained.items),
        ["purchase"] * len(trained.items),
        trained.times,
        trained.values,
    )
    years_later = T + 5000 * DAY_US
    moment = Moment.of(history, (), years_later, data.items, user)
    asked = moment.evidence("history", 30, Weighing(data.end, 60.0, table)).query
    np.testing.assert_array_equal(asked.weights, trained.weights)
    np.testing.assert_array_equal(asked.items, trained.items)
    assert (asked.users[0], asked.now[0]) == (user, years_later)


def test_a_fresh_event_counts_in_full_and_the_older_fade_before_it():
    history = History.of([("a", "view", T, NAN), ("b", "view", T + 60 * DAY_US, NAN)])
    asked = Moment.of(history, (), T + 61 * DAY_US, WORDS).evidence("history", 30, Weighing(T))
    np.testing.assert_allclose(asked.query.weights, [0.5, 1.0])


def test_only_what_the_models_know_and_what_speaks_for_an_item_is_asked_with():
    history = History.of(
        [
            ("a", "purchase", T, NAN),
            ("unknown", "purchase", T + 1, NAN),
            ("b", "impression", T + 2, NAN),
            ("c", "uncart", T + 3, NAN),
            ("d", "no-such-kind", T + 4, NAN),
            ("b", "rating", T + 5, 4.0),
        ]
    )
    asked = Moment.of(history, (), T + 6, WORDS).evidence("history", 30, Weighing(T))
    assert (asked.item_ids, asked.kinds) == (["a", "b"], ["purchase", "rating"])
    np.testing.assert_array_equal(asked.query.values, np.array([NAN, 4], np.float32))
    assert len(asked) == 2


def test_context_counts_as_a_view_of_this_moment():
    history = History.of([("a", "purchase", T, NAN)])
    moment = Moment.of(history, ("c", "unknown"), T + 5, WORDS)
    everything = moment.evidence("history", 30, Weighing(T))
    assert everything.item_ids == ["a", "c"]
    assert everything.is_context.tolist() == [False, True]
    np.testing.assert_array_equal(everything.query.weights, [5.0, 1.0])
    assert moment.evidence("context", 30, Weighing(T)).item_ids == ["c"]
    assert len(moment.evidence("none", 30, Weighing(T))) == 0


def test_a_session_ends_with_a_pause():
    minutes = [0, 10, 60, 85, 100]
    history = History.of(
        [(i, "view", T + m * MINUTE_US, NAN) for i, m in zip("abcda", minutes, strict=True)]
    )

    def session(after, context=()):
        moment = Moment.of(history, context, T + (100 + after) * MINUTE_US, WORDS)
        return moment.evidence("session", 30, Weighing(T)).item_ids

    assert session(after=5) == ["c", "d", "a"]
    assert session(after=31) == []
    assert session(after=31, context=("b",)) == ["b"]


def test_filters_ride_on_the_query():
    asked = Moment.of(History.of([("a", "view", T, NAN)]), (), T, WORDS).evidence(
        "history", 30, Weighing()
    )
    query = asked.within(np.array([0, 1], np.int32), np.array([1], np.int32))
    assert query.exclude.tolist() == [1]
    assert query.exclude_indptr.tolist() == [0, 1]
    assert query.allowed.tolist() == [0, 1]


def test_what_counts_as_seen():
    history = History.of(
        [("a", "purchase", T - 40 * DAY_US, NAN), ("b", "purchase", T, NAN), ("c", "view", T, NAN)]
    )
    assert seen(history, Hide(), T) == {"a", "b"}
    assert seen(history, Hide(days=30), T) == {"b"}
    assert seen(history, Hide(kinds=("view",)), T) == {"c"}
    assert seen(history, Hide(kinds=()), T) == set()


def test_a_refund_takes_back_the_purchase_before_it():
    trade = [
        ("a", "purchase", 1, NAN, 3),
        ("b", "purchase", 2, NAN, 1),
        ("a", "refund", 3, NAN, 1),
        ("b", "refund", 4, NAN, 2),
        ("b", "purchase", 5, NAN, 1),
    ]
    left = History.of(trade).settled()
    assert list(zip(left.item_ids, left.times, strict=True)) == [("a", 1), ("b", 5)]
    # Without quantities each counts one unit.
    left = History.of([row[:4] for row in trade]).settled()
    assert list(zip(left.item_ids, left.times, strict=True)) == [("b", 5)]


units = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.sampled_from(["purchase", "refund", "view"]), st.integers(1, 4)
    ),
    max_size=12,
)


@given(units)
def test_settling_is_what_taking_back_unit_by_unit_is(trade):
    history = History.of([(i, kind, t, NAN, n) for t, (i, kind, n) in enumerate(trade)])
    left = [n for _, _, n in trade]
    for t, (item_id, kind, n) in enumerate(trade):
        owed = n
        for earlier in reversed(range(t)) if kind == "refund" else ():
            if trade[earlier][:2] == (item_id, "purchase"):
                taken = min(owed, left[earlier])
                left[earlier] -= taken
                owed -= taken
    kept = [t for t, (_, kind, _) in enumerate(trade) if kind != "refund" and left[t] > 0]
    assert history.settled().times.tolist() == kept


def test_events_in_any_order_make_one_history():
    rows = [("a", "view", 3, NAN), ("b", "view", 1, 2.0)]
    history = History.of(rows)
    assert history.item_ids == ["b", "a"]
    assert history.values.dtype == np.float32
    assert len(History.of([]).times) == 0
    assert timedelta(microseconds=int(history.times[0])) == timedelta(microseconds=1)

"""What holds of `prepare` for any events."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "prepare"))

from prepare_worlds import NOW, as_events, at, events

from endcap.prepare.run import prepare
from endcap.schema.settings import PrepareSettings

rows = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["purchase", "purchase", "view", "refund", "rating", "impression"]),
        "user_id": st.sampled_from(["ann", "bob", "Çelik", None]),
        "visitor_id": st.sampled_from(["v1", None]),
        "item_id": st.sampled_from(["lamp", "cup", "碗", "POSTAGE", None]),
        "time": st.integers(0, 40).map(lambda m: at(minutes=7 * m)),
        "quantity": st.sampled_from([1, 2, 5, -1, 0, None]),
        "price": st.sampled_from([1.0, 0.0, -2.0, None]),
        "value": st.sampled_from([1.0, 4.5, None]),
        "order_id": st.sampled_from(["o1", "o2", None]),
        "session_id": st.sampled_from(["s1", "s2", None]),
    }
)
worlds = st.lists(rows, max_size=40)
few = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CORE = PrepareSettings(user_core=2, item_core=2)


@few
@given(worlds, st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter_and_counts_add_up(world, random):
    table = events(*world)
    order = list(range(len(world)))
    random.shuffle(order)
    one = prepare(table, aliases={"v1": "ann"}, now=NOW)
    other = prepare(table.take(pa.array(order, pa.int64())), aliases={"v1": "ann"}, now=NOW)
    assert one.dataset.fingerprint == other.dataset.fingerprint
    assert one.dataset.interactions.equals(other.dataset.interactions)
    assert one.report.to_dict() == other.report.to_dict()
    assert one.report.balanced
    assert one.report.rows_in == len(world)


@few
@given(worlds)
def test_what_was_prepared_loses_nothing_more(world):
    once = prepare(events(*world), settings=CORE, now=NOW)
    twice = prepare(as_events(once.dataset), settings=CORE, now=NOW)
    assert twice.report.rows_in == twice.report.rows_out == once.report.rows_out
    for name in ("user", "item", "time", "weight"):
        assert twice.dataset.column(name).tolist() == once.dataset.column(name).tolist()


@few
@given(worlds, rows)
def test_a_refund_never_adds(world, row):
    refund = row | {"kind": "refund"}
    before = prepare(events(*world), now=NOW).dataset
    after = prepare(events(*world, refund), now=NOW).dataset
    known = {key(before, r) for r in range(before.interactions.num_rows)}
    assert {key(after, r) for r in range(after.interactions.num_rows)} <= known


def key(dataset, row):
    table = dataset.interactions
    user, item = table["user"][row].as_py(), table["item"][row].as_py()
    time = np.asarray(table["time"].cast(pa.int64()))[row]
    return (
        dataset.users.ids([user])[0],
        dataset.items.ids([item])[0],
        table["kind"][row].as_py(),
        time,
    )

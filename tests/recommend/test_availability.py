"""What may be shown: against a rule written out item by item, through every kind of change."""

import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.availability import ALWAYS, Availability, shown_until

DAY = timedelta(days=1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
IDS = ["a", "b", "c", "d"]


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def row(item_id, availability=None, stock=None, expires=None, created=None):
    return {
        "item_id": item_id,
        "availability": availability,
        "stock": stock,
        "expires": expires,
        "created": created,
    }


SCHEMA = pa.schema(
    {
        "item_id": pa.string(),
        "availability": pa.string(),
        "stock": pa.int64(),
        "expires": pa.timestamp("us", tz="UTC"),
        "created": pa.timestamp("us", tz="UTC"),
    }
)


def table(*rows):
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def test_what_hides_an_item():
    shelf = table(
        row("plain"),
        row("gone", "out_of_stock"),
        row("none-left", "in_stock", 0),
        row("ordered-ahead", "backorder", 0),
        row("coming", "preorder", 0),
        row("expired", expires=NOON),
        row("until-noon", expires=NOON + DAY),
    )
    shown = np.asarray(shelf["item_id"])[shown_until(shelf) > micros(NOON)]
    assert shown.tolist() == ["plain", "ordered-ahead", "coming", "until-noon"]


def test_unknown_columns_hide_nothing():
    assert shown_until(pa.table({"item_id": ["a"]})).tolist() == [ALWAYS]


def test_without_a_catalogue_everything_may_be_shown_until_there_is_one():
    shelf, words = Availability(), Vocabulary(["a", "b"])
    assert shelf.rows(words, 0).tolist() == [0, 1]
    assert list(shelf.ids(0)) == []
    shelf.upsert(table())
    assert shelf.rows(words, 0).tolist() == [0, 1]
    shelf.upsert(table(row("b")))
    assert shelf.rows(words, 0).tolist() == [1]
    shelf.delete(["b"])
    assert shelf.rows(words, 0).tolist() == []  # a catalogue that was emptied is still one


def test_the_newest_stand_first_on_the_shelf_of_last_resort():
    shelf = Availability(
        table(row("old", created=NOON - DAY), row("b"), row("a"), row("new", created=NOON))
    )
    assert list(shelf.ids(micros(NOON))) == ["new", "old", "a", "b"]


def test_time_alone_changes_the_answer_forth_and_back():
    shelf, words = Availability(table(row("a", expires=NOON), row("b"))), Vocabulary(IDS)
    for moment, shown in [(-1, [0, 1]), (0, [1]), (-1, [0, 1]), (5, [1])]:
        assert shelf.rows(words, micros(NOON) + moment).tolist() == shown


def test_answers_cannot_be_changed_by_their_readers():
    rows = Availability(table(row("a"))).rows(Vocabulary(IDS), 0)
    assert not rows.flags.writeable


changes = st.one_of(
    st.tuples(
        st.just("upsert"),
        st.lists(
            st.builds(
                row,
                st.sampled_from(IDS),
                st.sampled_from([None, "in_stock", "out_of_stock", "preorder"]),
                st.sampled_from([None, 0, 3]),
                st.sampled_from([None, NOON, NOON + DAY]),
            ),
            max_size=4,
        ),
    ),
    st.tuples(st.just("delete"), st.lists(st.sampled_from(IDS), max_size=2)),
)


@given(st.lists(changes, max_size=8), st.lists(st.sampled_from([-1, 0, 1]), min_size=1))
def test_after_any_changes_it_equals_the_rule_read_from_scratch(steps, days):
    words, shelf, known, catalogued = Vocabulary(IDS), Availability(), {}, False
    gone = set()
    for step, ((verb, what), day) in enumerate(zip(steps, days * 8, strict=False), start=1):
        if verb == "upsert":
            shelf.upsert(table(*what))
            known.update({r["item_id"]: r for r in what})
            catalogued |= bool(what)
            gone -= {r["item_id"] for r in what}
        else:
            shelf.delete(what)
            known = {i: r for i, r in known.items() if i not in what}
            gone |= set(what)
        now = NOON + day * DAY
        bare = set() if catalogued else set(IDS) - gone
        expected = [i for i in IDS if (_shown(known[i], now) if i in known else i in bare)]
        assert words.ids(shelf.rows(words, micros(now))) == expected
        assert sorted(shelf.ids(micros(now))) == [i for i in expected if i in known]
        assert shelf.version == step


def _shown(item, now):
    ahead = item["availability"] == "preorder"
    return (
        item["availability"] != "out_of_stock"
        and (item["stock"] != 0 or ahead)
        and (item["expires"] is None or now < item["expires"])
    )


def test_readers_and_writers_at_once_see_one_state_or_the_other():
    words = Vocabulary([f"i{n:03}" for n in range(200)])
    everything = table(*[row(i) for i in words.array.to_pylist()])
    nothing = table(*[row(i, "out_of_stock") for i in words.array.to_pylist()])
    shelf, wrong = Availability(everything), []

    def read():
        for _ in range(300):
            if len(shelf.rows(words, 0)) not in (0, 200):
                wrong.append(1)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(30):
        shelf.upsert(nothing)
        shelf.upsert(everything)
    for reader in readers:
        reader.join()
    assert not wrong

"""Splits: nothing of the future in training, everybody's targets complete, validation inside."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.prepare.dataset import Dataset
from endcap.prepare.split import (
    DAY_US,
    Fixed,
    HeldOutUsers,
    LastOut,
    Rule,
    Split,
    Targets,
    Temporal,
    last_labels,
)
from endcap.schema.errors import ConfigError, DataError

Row = tuple[str, str, int]


def shop(rows: list[Row]) -> Dataset:
    """(user, item, day) rows."""
    users, items, days = zip(*rows, strict=True)
    return Dataset.of(users, items, times=np.array(days, np.int64) * DAY_US)


def told(data: Dataset, split: Split, *, exclude_seen: bool = True) -> dict[str, list[str]]:
    targets = split.targets(exclude_seen=exclude_seen)
    return {
        data.users.ids([row])[0]: data.items.ids(targets.items[start:stop])
        for row, start, stop in zip(
            split.users, targets.indptr[:-1], targets.indptr[1:], strict=True
        )
    }


ROWS: list[Row] = [
    ("ann", "a", 0),
    ("ann", "b", 50),
    ("ann", "b", 90),
    ("ann", "c", 91),
    ("ann", "c", 92),
    ("bob", "a", 10),
    ("bob", "a", 100),
    ("cid", "d", 99),
    ("dan", "e", 40),
]


def test_temporal_holds_out_the_last_days_of_everybody() -> None:
    data = shop(ROWS)
    split = Temporal(days=28).apply(data)
    assert told(data, split) == {"ann": ["c"], "bob": [], "cid": ["d"]}
    assert told(data, split, exclude_seen=False) == {"ann": ["b", "c"], "bob": ["a"], "cid": ["d"]}
    assert split.train.interactions.num_rows == 4
    assert split.train.end < split.now[0] <= split.held.column("time").min()
    assert split.history is split.train
    assert "1970-03-14" in split.protocol


def test_temporal_keeps_the_first_moment_of_the_window_in_training() -> None:
    data = shop([("u", "a", 0), ("u", "b", 72), ("u", "c", 73), ("u", "d", 100)])
    assert told(data, Temporal(days=28).apply(data)) == {"u": ["c", "d"]}


def test_temporal_validation_is_as_long_and_lies_just_before() -> None:
    data = shop([("u", str(day), day) for day in range(100)])
    split = Temporal(days=10).apply(data)
    inner = split.validation()
    assert split.held.interactions.num_rows == inner.held.interactions.num_rows == 10
    assert inner.held.end < split.now[0]
    assert inner.train.interactions.num_rows == 80


def test_temporal_at_a_date_and_by_fraction() -> None:
    data = shop([("u", str(day), day) for day in range(100)])
    at = Temporal(at=datetime(1970, 4, 1, tzinfo=UTC)).apply(data)  # day 90
    assert at.held.interactions.num_rows == 10
    assert at.validation().held.interactions.num_rows == 10
    part = Temporal(fraction=0.2).apply(data)
    assert part.held.interactions.num_rows == 20
    assert part.validation().held.interactions.num_rows == 16


def test_temporal_wants_a_time_zone() -> None:
    with pytest.raises(DataError, match="no time zone"):
        Temporal(at=datetime(1970, 4, 1)).apply(shop(ROWS))


def test_last_out_takes_the_newest_of_those_who_have_more() -> None:
    data = shop(ROWS)
    split = LastOut().apply(data)
    assert told(data, split, exclude_seen=False) == {"ann": ["c"], "bob": ["a"]}
    assert told(data, split) == {"ann": [], "bob": []}  # both only repeated
    assert split.train.interactions.num_rows == 7
    assert split.now.tolist() == [92 * DAY_US, 100 * DAY_US]


def test_held_out_users_are_strangers_known_by_their_start() -> None:
    data = shop([(f"u{n}", f"i{step}", step) for n in range(20) for step in range(5)])
    split = HeldOutUsers(fraction=0.25, fold_in=0.6).apply(data)
    assert split.strangers
    assert len(split.users) == 5
    assert not set(split.users) & set(split.train.column("user"))
    assert set(split.history.column("item")) == {0, 1, 2}
    assert set(split.held.column("item")) == {3, 4}
    again = HeldOutUsers(fraction=0.25, fold_in=0.6).apply(data)
    assert again.users.tolist() == split.users.tolist()
    other = HeldOutUsers(fraction=0.25, fold_in=0.6, seed=1).apply(data)
    assert other.users.tolist() != split.users.tolist()
    inner = split.validation()
    assert not set(inner.users) & set(split.users)


def test_held_out_users_always_keep_a_query_and_a_target() -> None:
    data = shop([(f"u{n}", f"i{step}", step) for n in range(4) for step in range(2)])
    split = HeldOutUsers(fraction=0.5, fold_in=0.1).apply(data)
    assert split.history.interactions.num_rows == split.held.interactions.num_rows == 2


def test_fixed_follows_the_labels() -> None:
    data = shop([("u", "a", 0), ("u", "b", 1), ("u", "c", 2), ("v", "a", 0), ("v", "d", 3)])
    rule = Fixed(labels=("train", "valid", "test", "train", "test"))
    split = rule.apply(data)
    assert told(data, split) == {"u": ["c"], "v": ["d"]}
    assert split.train.interactions.num_rows == 2
    assert split.history.interactions.num_rows == 3  # valid is known when test is asked
    refit = Fixed(labels=rule.labels, refit=True).apply(data)
    assert refit.train.interactions.num_rows == 3
    inner = refit.validation()
    assert told(data, inner) == {"u": ["b"]}
    assert [part.protocol for part in (split, refit, inner)] == [
        "fixed split, fitted on train, asked about test",
        "fixed split, fitted on train+valid, asked about test",
        "fixed split, fitted on train, asked about valid",
    ]
    assert inner.train.interactions.num_rows == inner.history.interactions.num_rows == 2


def test_fixed_refuses_wrong_labels() -> None:
    with pytest.raises(ConfigError, match=r"'vald' is no part of a split.*'valid'"):
        Fixed.parse({"labels": ["train", "vald"]})
    with pytest.raises(DataError, match="2 labels for 9 interactions"):
        Fixed(labels=("train", "test")).apply(shop(ROWS))


def test_last_labels_leave_one_out_twice() -> None:
    data = shop([*[("u", str(step), step) for step in range(4)], ("v", "a", 0), ("v", "b", 1)])
    assert last_labels(data).tolist() == ["train", "train", "valid", "test", "train", "train"]


@pytest.mark.parametrize("rule", [Temporal(days=1e6), LastOut(n=9), Fixed(labels=("train",) * 9)])
def test_an_empty_part_is_an_error(rule: Rule) -> None:
    with pytest.raises(DataError, match="Nothing is left to"):
        rule.apply(shop(ROWS))


def test_an_empty_data_set_is_named_as_such() -> None:
    with pytest.raises(DataError, match="no interactions to split"):
        Temporal().apply(Dataset.of([], []))


def test_targets_tell_owner_and_counts() -> None:
    targets = Targets(np.array([0, 2, 2, 3]), np.array([4, 5, 6], np.int32))
    assert targets.counts.tolist() == [2, 0, 1]
    assert targets.owner.tolist() == [0, 0, 2]


rows = st.lists(
    st.tuples(st.sampled_from("abcdefg"), st.sampled_from("uvwxyz"), st.integers(0, 60)),
    min_size=2,
    max_size=60,
)
rules = st.one_of(
    st.builds(Temporal, days=st.floats(0.5, 70)),
    st.builds(Temporal, days=st.just(28.0), fraction=st.floats(0.05, 0.9)),
    st.builds(LastOut, n=st.integers(1, 3)),
    st.builds(HeldOutUsers, fraction=st.floats(0.1, 0.9), fold_in=st.floats(0.1, 0.9)),
)


@settings(max_examples=150, deadline=None)
@given(rows, rules, st.booleans())
def test_every_rule_keeps_the_parts_apart(drawn: list[Row], rule: Rule, exclude_seen: bool) -> None:
    data = shop(drawn)
    try:
        split = rule.apply(data)
    except DataError:
        return
    parts = [split.train, split.held] + ([split.history] if split.strangers else [])
    assert sum(part.interactions.num_rows for part in parts) == data.interactions.num_rows
    assert all(part.users is data.users and part.items is data.items for part in parts)
    assert (np.diff(split.users) > 0).all()
    if isinstance(rule, Temporal):
        assert split.train.column("time").max() < split.held.column("time").min()
    else:
        for row, now in zip(split.users, split.now, strict=True):
            past = split.history.column("time")[split.history.column("user") == row]
            assert (past <= now).all()
    targets = split.targets(exclude_seen=exclude_seen)
    pairs = {
        (int(row), int(item))
        for row, item in zip(split.users[targets.owner], targets.items, strict=True)
    }
    seen = _pairs(split.history) if exclude_seen else set()
    assert pairs == _pairs(split.held) - seen
    assert len(pairs) == len(targets.items)


def several_kinds() -> Dataset:
    """Ann collected w and bought x; then she buys w and collects z. Bob never buys again."""
    return Dataset.of(
        ["ann", "ann", "ann", "ann", "ann", "bob", "bob"],
        ["w", "x", "w", "x", "z", "w", "y"],
        kinds=["wish", "purchase", "purchase", "purchase", "wish", "purchase", "wish"],
    )


def test_one_kind_can_be_foreseen_and_what_was_only_collected_may_be_bought() -> None:
    data = several_kinds()
    labels = ["train", "train", "test", "test", "test", "train", "test"]
    split = Fixed.model_validate({"labels": labels}).apply(data)
    anything = split.targets()
    assert data.items.ids(anything.items) == ["z", "y"]
    bought = split.foreseeing("purchase")
    assert data.users.ids(bought.users) == ["ann"]
    assert data.items.ids(bought.targets().items) == ["w"]
    assert data.items.ids(bought.targets(exclude_seen=False).items) == ["w", "x"]
    assert bought.history is split.history
    assert bought.protocol.endswith(", target purchase")
    with pytest.raises(DataError, match="No event of kind 'purchas'") as caught:
        split.foreseeing("purchas")
    assert "purchase" in caught.value.hint


def test_the_validation_of_one_kind_foresees_the_same_kind() -> None:
    data = several_kinds()
    labels = ["train", "train", "valid", "test", "valid", "train", "valid"]
    split = Fixed.model_validate({"labels": labels}).apply(data).foreseeing("purchase")
    inner = split.validation()
    assert inner.target == "purchase"
    assert data.items.ids(inner.held.column("item")) == ["w"]


def _pairs(data: Dataset) -> set[tuple[int, int]]:
    columns = (data.column("user").tolist(), data.column("item").tolist())
    return set(zip(*columns, strict=True))

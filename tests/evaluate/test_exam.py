"""Questions are built from the past alone, and put to all models alike."""

from evaluate_worlds import shop

from endcap.evaluate.exam import Exam
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import Fixed, HeldOutUsers, Temporal

ROWS = [
    ("ann", "a", 0),
    ("ann", "b", 1),
    ("ann", "b", 90),
    ("ann", "c", 91),
    ("bob", "a", 10),
    ("bob", "a", 100),
    ("cid", "d", 99),
    ("dan", "e", 40),
]


def test_queries_hold_the_past_and_the_moment_of_asking() -> None:
    data = shop(ROWS)
    split = Temporal(days=28).apply(data)
    exam = Exam.of(split)
    assert data.users.ids(split.users[[0, 2]]) == ["ann", "cid"]
    assert len(exam) == 2  # bob only repeated
    assert exam.dropped == 1
    assert data.items.ids(exam.queries.items) == ["a", "b"]
    assert exam.queries.now.tolist() == [split.now[0]] * 2
    assert exam.queries.exclude.tolist() == exam.queries.items.tolist()
    assert exam.warm.tolist() == [True, False]
    assert data.items.ids(exam.targets.items) == ["c", "d"]


def test_repeats_count_when_asked_for() -> None:
    exam = Exam.of(Temporal(days=28).apply(shop(ROWS)), exclude_seen=False)
    assert len(exam) == 3
    assert exam.dropped == 0
    assert len(exam.queries.exclude) == 0
    assert exam.targets.counts.tolist() == [2, 1, 1]


def test_counts_say_what_is_cold() -> None:
    counts = Exam.of(Temporal(days=28).apply(shop(ROWS))).counts
    assert counts["users"] == 2
    assert counts["warm_users"] == 1
    assert counts["cold_user_share"] == 0.5
    assert counts["cold_target_share"] == 1.0  # neither c nor d was bought before
    assert counts["train_interactions"] == 4
    assert counts["train_users"] == 3
    assert counts["train_items"] == 3
    assert counts["items"] == 5


def test_buyers_are_counted_once_and_only_in_training() -> None:
    data = shop([("u", "a", 0), ("u", "a", 1), ("v", "a", 2), ("v", "b", 99)])
    exam = Exam.of(Temporal(days=28).apply(data))
    assert exam.buyers.tolist() == [2, 0]


def test_held_out_users_are_asked_as_strangers() -> None:
    data = shop([(f"u{n}", f"i{step}", step) for n in range(20) for step in range(5)])
    exam = Exam.of(HeldOutUsers(fraction=0.5).apply(data))
    assert set(exam.queries.users) == {-1}
    assert exam.warm.all()


def test_a_sample_of_users_is_drawn_by_the_seed_with_their_own_targets() -> None:
    data = shop(
        [(f"u{n}", item, day) for n in range(50) for item, day in (("a", 0), (f"x{n}", 90))]
    )
    split = Temporal(days=28).apply(data)
    few, again, other = (Exam.of(split, max_users=9, seed=seed) for seed in (1, 1, 2))
    assert len(few) == 9
    assert few.queries.users.tolist() == again.queries.users.tolist()
    assert few.queries.users.tolist() != other.queries.users.tolist()
    users, items = data.users.ids(few.queries.users), data.items.ids(few.targets.items)
    assert [f"x{user[1:]}" for user in users] == items
    assert len(Exam.of(split, max_users=1000)) == 50


def test_only_items_of_the_target_kind_are_excluded() -> None:
    data = Dataset.of(["u"] * 4, list("abca"), kinds=["wish", "purchase", "purchase", "purchase"])
    split = Fixed.model_validate({"labels": ["train", "train", "test", "test"]}).apply(data)
    assert Exam.of(split).queries.exclude.tolist() == [0, 1]
    exam = Exam.of(split.foreseeing("purchase"))
    assert exam.queries.exclude.tolist() == [1]
    assert exam.queries.items.tolist() == [0, 1]
    assert exam.targets.items.tolist() == [0, 2]

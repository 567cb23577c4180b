"""Repeat against dense versions, and what it promises of baskets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.models.queries import Queries
from endcap.models.repeat import DOUBT, Repeat, RepeatModel
from endcap.prepare.dataset import Dataset

MINUTE = 60_000_000
BASKETS = {
    "ann": [["milk", "rice"], ["milk"], ["milk", "tea"], ["tea", "eggs"]],
    "bob": [["rice"], ["milk", "eggs"]],
    "cid": [["tea", "eggs"], ["tea"], ["eggs", "nuts"]],
    "dot": [["salt"]],
}


def rows() -> list[tuple[str, str, int]]:
    return [
        (user, item, (n + 1) * MINUTE)
        for user, baskets in BASKETS.items()
        for n, basket in enumerate(baskets)
        for item in basket
    ]


@pytest.fixture(scope="module")
def data() -> Dataset:
    users, items, times = zip(*rows(), strict=True)
    return Dataset.of(users, items, times=np.array(times))


def everybody(data: Dataset) -> Queries:
    return Queries.of_users(data, np.arange(len(data.users)))


def naive_vector(baskets: list[list[str]], spec: Repeat, data: Dataset) -> np.ndarray:
    """Means over groups of means within groups, newest first, as in the paper."""
    newest_first = baskets[::-1]
    groups = [newest_first[n : n + spec.group] for n in range(0, len(baskets), spec.group)]
    out = np.zeros(len(data.items))
    for g, group in enumerate(groups):
        inside = np.zeros(len(data.items))
        for p, basket in enumerate(group):
            inside[data.items.rows(basket)] += spec.within_decay**p / len(group)
        out += spec.group_decay**g * inside / len(groups)
    return out


@pytest.mark.parametrize("group", [1, 2, 3, 9])
def test_frequencies_fade_as_in_the_paper(data: Dataset, group: int) -> None:
    spec = Repeat(group=group, within_decay=0.8, group_decay=0.6)
    vectors = spec.fit(data).vectors.toarray()
    for user, baskets in BASKETS.items():
        (row,) = data.users.rows([user])
        np.testing.assert_allclose(vectors[row], naive_vector(baskets, spec, data), rtol=1e-6)


def test_scores_equal_the_formula(data: Dataset) -> None:
    spec = Repeat(group=2, own=0.4, popular=0.7, neighbours=2, rebuy=0.5)
    vectors = np.array([naive_vector(b, spec, data) for b in BASKETS.values()])
    n = (vectors > 0).sum(axis=0)
    weighed = vectors * np.log1p((4 - n + 0.5) / (n + 0.5))
    unit = weighed / np.linalg.norm(weighed, axis=1, keepdims=True)
    alike = unit @ unit.T
    alike[alike < np.sort(alike, axis=1)[:, -2:-1]] = 0
    others = alike @ vectors / alike.sum(axis=1, keepdims=True)
    newest = sum(np.isin(np.arange(len(n)), data.items.rows(b[-1])) for b in BASKETS.values()) / 4
    score = 0.4 * vectors + 0.6 * others + 0.7 * newest
    # Baskets after the first with the item, and those of them that hold it too, counted by hand.
    chances = {"milk": (3 + 0, 2 + 0), "rice": (3 + 1, 0), "tea": (1 + 2, 1 + 1)}
    chances |= {"eggs": (0 + 0 + 2, 0 + 0 + 1), "nuts": (0, 0), "salt": (0, 0)}
    mean = sum(a for _, a in chances.values()) / sum(c for c, _ in chances.values())
    for item, (c, a) in chances.items():
        rate = (a + DOUBT * mean) / (c + DOUBT) / mean
        score[:, data.items.rows([item])] *= np.sqrt(rate)
    np.testing.assert_allclose(spec.fit(data).scores(everybody(data)), score, rtol=1e-5)


def test_a_fresh_basket_counts_at_once(data: Dataset) -> None:
    model = Repeat(own=1, popular=0, rebuy=0, group=1, group_decay=0.5).fit(data)
    milk, nuts = data.items.rows(["milk", "nuts"])
    before = model.scores(Queries.of_histories([[milk]], times=[[MINUTE]]))[0]
    after = model.scores(Queries.of_histories([[milk, nuts]], times=[[MINUTE, 2 * MINUTE]]))[0]
    assert before[milk] == 1
    assert before[nuts] == 0
    assert after[nuts] == 0.5
    assert after[milk] == 0.25


def test_what_lies_within_the_gap_is_one_basket() -> None:
    queries = Queries.of_histories(
        [[0, 1, 2, 3], [1]], times=[[0, 2 * MINUTE, 4 * MINUTE, 9 * MINUTE], [9 * MINUTE]]
    )
    assert Repeat().ages(queries).tolist() == [3, 2, 1, 0, 0]
    assert Repeat(gap_minutes=2).ages(queries).tolist() == [1, 1, 1, 0, 0]
    assert Repeat(gap_minutes=9).ages(queries).tolist() == [0, 0, 0, 0, 0]


def test_a_history_without_times_is_one_basket() -> None:
    assert Repeat().ages(Queries.of_histories([[4, 5], [], [6]])).tolist() == [0, 0, 0]


def test_what_is_bought_again_comes_before_what_is_not() -> None:
    """A rice cooker and milk were bought equally often by the asker, but milk is bought again."""
    users = [f"u{n}" for n in range(8) for _ in range(4)]
    items = ["milk", "cooker", "milk", "milk"] * 8
    times = np.tile([1, 1, 2, 3], 8) * MINUTE
    data = Dataset.of(users, items, times=times)
    milk, cooker = data.items.rows(["milk", "cooker"])
    asked = Queries.of_histories([[cooker, milk]], times=[[MINUTE, MINUTE]])
    even, wise = (
        Repeat(own=1, popular=0, rebuy=rebuy).fit(data).scores(asked)[0] for rebuy in (0, 1)
    )
    assert even[milk] == even[cooker]
    assert wise[milk] > 2 * wise[cooker]


def test_it_speaks_only_of_what_was_taken_and_to_whom_it_knows(data: Dataset) -> None:
    model = Repeat().fit(data)
    assert np.isnan(model.scores(Queries.of_histories([[], [-1]]))).all()
    assert not np.isnan(model.scores(everybody(data))).any()


@given(
    st.lists(
        st.tuples(st.integers(-1, 5), st.integers(0, 3), st.floats(0.25, 4, width=32)),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 4),
)
def test_reasons_sum_to_the_score(history: list[tuple[int, int, float]], group: int) -> None:
    users, bought, when = zip(*rows(), strict=True)
    model = Repeat(group=group).fit(Dataset.of(users, bought, times=np.array(when)))
    assert isinstance(model, RepeatModel)
    items, gaps, weights = zip(*history, strict=True)
    query = Queries.of_histories([items], times=[np.cumsum(gaps)], weights=[weights])
    everything = np.arange(len(model.items), dtype=np.int32)
    shares = model.contributions(query, everything)
    scores = model.scores(query)[0]
    assert (shares[:, np.array(items) < 0] == 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), np.nan_to_num(scores), rtol=1e-4, atol=1e-6)

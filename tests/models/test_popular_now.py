"""What most people take, counted on to this moment."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.models.live import Live, LiveCounts
from endcap.models.popular import Popular, PopularModel
from endcap.models.popular_now import PopularNow
from endcap.models.queries import Queries
from endcap.prepare.vocabulary import Vocabulary

N = 40
WORDS = Vocabulary([f"i{n:02}" for n in range(N)])


def now(trained: list[float], taken: list[int]) -> PopularNow:
    counts = LiveCounts(Live())
    for who, item in enumerate(taken):
        counts.add(f"u{who}", f"i{item:02}", 1.0, 0)
    model = PopularModel(Popular(), Vocabulary([]), WORDS, np.array(trained, np.float32))
    return PopularNow.of(model, counts)


@settings(deadline=None)  # compiles
@given(
    st.lists(st.integers(0, 9), min_size=N, max_size=N),
    st.lists(st.integers(0, N + 5), max_size=60),
    st.lists(st.integers(0, N - 1), max_size=30, unique=True),
    st.integers(1, 8),
)
def test_the_first_of_the_walk_are_the_first_of_all(
    trained: list[int], taken: list[int], banned: list[int], k: int
) -> None:
    model = now([float(count) for count in trained], taken)
    query = replace(
        Queries.of_histories([[]]),
        exclude=np.array(sorted(banned), np.int32),
        exclude_indptr=np.array([0, len(banned)], np.int64),
    )
    scores = model.scores(query)[0]
    expected = np.bincount([item for item in taken if item < N], minlength=N) + trained
    np.testing.assert_allclose(np.nan_to_num(scores), expected)
    opinion = model.opinion(query, k)
    may = np.setdiff1d(np.flatnonzero(expected > 0), banned)
    best = np.sort(expected[may])[::-1][:k]
    np.testing.assert_allclose(opinion.proposed.scores, best)
    np.testing.assert_allclose(
        np.nan_to_num(opinion.score(opinion.proposed)), opinion.proposed.scores
    )


def test_what_the_words_do_not_hold_is_told_apart() -> None:
    model = now([1.0] * N, [3, N + 2, N + 2])
    assert model.beyond() == {f"i{N + 2}": 2.0}


def test_as_long_as_nothing_changes_the_order_stays() -> None:
    counts = [float(n) for n in range(N)]
    lately = [item for item in range(N) for _ in range(item)]  # a tenth of it, a second time
    model = now([10 * count for count in counts], lately)
    scores = model.scores(Queries.of_histories([[]]))[0]
    assert np.argsort(np.nan_to_num(scores)).tolist() == list(range(N))

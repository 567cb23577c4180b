"""The algebra of ragged results, against lists of pairs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.models.candidates import Candidates, merge
from endcap.models.queries import Queries
from endcap.models.topk import push, top_k, top_of_rows
from endcap.prepare.dataset import Dataset

Row = list[tuple[int, float]]
SCORES = st.sampled_from([-2.0, -0.5, 0.0, 0.25, 1.0, 7.5, float("nan")])
ROWS = st.lists(
    st.lists(st.tuples(st.integers(0, 12), SCORES), max_size=9, unique_by=lambda x: x[0]),
    min_size=1,
    max_size=5,
)


def built(rows: list[Row], source: int = 0) -> Candidates:
    items, scores = ([[pair[at] for pair in row] for row in rows] for at in (0, 1))
    return Candidates.of(items, scores, source)


def plain(found: Candidates) -> list[Row]:
    return [
        list(zip(*(part.tolist() for part in found.row(q)), strict=True)) for q in range(len(found))
    ]


def by_score(pair: tuple[int, float]) -> tuple[float, int]:
    item, score = pair
    return (float("inf") if np.isnan(score) else -score, item)


@given(ROWS)
def test_building_and_reading_are_inverse(rows: list[Row]) -> None:
    found = built(rows)
    np.testing.assert_equal(plain(found), rows)
    assert found.query_of.tolist() == [q for q, row in enumerate(rows) for _ in row]


@given(ROWS)
def test_sorted_equals_sorting_lists(rows: list[Row]) -> None:
    once = built(rows).sorted()
    np.testing.assert_equal(plain(once), [sorted(row, key=by_score) for row in rows])
    np.testing.assert_equal(plain(once.sorted()), plain(once))


@given(ROWS, st.integers(0, 10), st.integers(0, 10))
def test_top_cuts_every_row(rows: list[Row], k: int, more: int) -> None:
    cut = built(rows).top(k)
    np.testing.assert_equal(plain(cut), [row[:k] for row in rows])
    np.testing.assert_equal(plain(built(rows).top(k + more).top(k)), plain(cut))


@given(ROWS, st.randoms(use_true_random=False))
def test_keep_filters_every_row(rows: list[Row], random: object) -> None:
    flags = [[random.random() < 0.5 for _ in row] for row in rows]  # type: ignore[attr-defined]
    mask = np.array([flag for row in flags for flag in row], dtype=bool)
    kept = built(rows).keep(mask)
    expected = [
        [p for p, f in zip(r, fs, strict=True) if f] for r, fs in zip(rows, flags, strict=True)
    ]
    np.testing.assert_equal(plain(kept), expected)


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[st.lists(
    st.tuples(st.integers(0, 9), SCORES), max_size=6, unique_by=lambda x: x[0])] * n),
    min_size=1, max_size=3)))  # fmt: skip
def test_merge_keeps_the_first_proposer(lists: list[tuple[Row, ...]]) -> None:
    joined = merge([built(list(rows), source) for source, rows in enumerate(lists)])
    for q in range(len(lists[0])):
        first: dict[int, tuple[float, int]] = {}
        for source, rows in enumerate(lists):
            for item, score in rows[q]:
                first.setdefault(item, (score, source))
        items, scores = joined.row(q)
        span = slice(joined.indptr[q], joined.indptr[q + 1])
        assert items.tolist() == list(first)
        np.testing.assert_equal(scores.tolist(), [score for score, _ in first.values()])
        assert joined.source[span].tolist() == [source for _, source in first.values()]


@given(ROWS)
def test_other_scores_keep_the_order(rows: list[Row]) -> None:
    found = built(rows)
    other = found.with_scores(np.arange(len(found.items)))
    assert other.items.tolist() == found.items.tolist()
    assert other.scores.tolist() == list(range(len(found.items)))
    assert other.scores.dtype == np.float32


MATRICES = st.integers(1, 9).flatmap(
    lambda width: st.lists(st.lists(SCORES, min_size=width, max_size=width), min_size=1, max_size=4)
)
IDS = st.lists(st.integers(-1, 8), max_size=5)


@settings(deadline=None)
@given(MATRICES, st.integers(0, 12), IDS, st.none() | IDS)
def test_top_k_equals_sorting(
    matrix: list[list[float]], k: int, exclude: list[int], allowed: list[int] | None
) -> None:
    scores, width = np.array(matrix, np.float32), len(matrix[0])
    banned = [i for i in exclude if i < width]
    open_to = None if allowed is None else np.array([i for i in allowed if i < width], np.int32)
    asked = Queries.of_histories([banned] * len(matrix)).excluding_history()
    asked = Queries(**{f: getattr(asked, f) for f in asked.__slots__} | {"allowed": open_to})
    found = top_k(scores.copy(), asked, k)
    for q, row in enumerate(matrix):
        pairs = [
            (i, s)
            for i, s in enumerate(row)
            if not np.isnan(s) and i not in banned and (open_to is None or i in open_to)
        ]
        assert plain(found)[q] == sorted(pairs, key=by_score)[:k]


@settings(deadline=None)
@given(
    st.lists(st.tuples(SCORES.filter(lambda s: s == s), st.integers(0, 99)), max_size=30),
    st.integers(1, 6),
)
def test_a_heap_holds_the_best(offers: list[tuple[float, int]], k: int) -> None:
    values, items, size = np.zeros(k, np.float32), np.zeros(k, np.int32), 0
    unique = list({item: (score, item) for score, item in offers}.values())
    for score, item in unique:
        size = push(values, items, size, np.float32(score), np.int32(item))
    kept = sorted(zip(items[:size].tolist(), values[:size].tolist(), strict=True), key=by_score)
    assert kept == sorted([(i, s) for s, i in unique], key=by_score)[:k]


def test_rows_of_a_sparse_matrix_keep_their_best() -> None:
    data = Dataset.of(["u"] * 3, ["a", "b", "c"], weights=[1, 2, 3])
    assert top_of_rows(data.matrix(), 1).toarray().tolist() == [[0, 0, 3]]

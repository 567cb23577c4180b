"""Lists of few items against the same question asked of all."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from endcap.models.candidates import Candidates
from endcap.models.linear import _best as best_of_table
from endcap.models.listed import cleaned, first_of, listed, look_up, may_come, top_listed, union_of
from endcap.models.queries import Queries

N = 97
NAN = np.nan


def question(allowed: npt.NDArray[np.int32] | None, exclude: list[int]) -> Queries:
    banned = np.asarray(exclude, np.int32)
    ends = np.array([0, len(banned)], np.int64)
    one = Queries.of_histories([[1]])
    return replace(one, allowed=allowed, exclude=banned, exclude_indptr=ends)


@pytest.mark.parametrize("seed", range(20))
def test_the_best_of_a_list_are_those_of_a_sort(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.permutation(N)[: rng.integers(0, N)].astype(np.int32)
    scores = rng.integers(-3, 4, len(rows)).astype(np.float32)  # many ties
    scores[rng.random(len(rows)) < 0.1] = rng.choice([NAN, -np.inf])
    allowed = None if seed % 3 == 0 else np.sort(rng.permutation(N)[: N // 2]).astype(np.int32)
    exclude = rng.integers(0, N, seed).tolist()
    k = int(rng.integers(0, 30))
    found = top_listed(rows, scores, question(allowed, exclude), k)
    told = [
        (-score, row)
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
        if score > -np.inf and row not in exclude and (allowed is None or row in allowed.tolist())
    ]
    assert found.items.tolist() == [row for _, row in sorted(told)[:k]]
    assert found.scores.tolist() == [-score for score, _ in sorted(told)[:k]]


@pytest.mark.parametrize("seed", range(40))
def test_the_best_of_what_a_history_spreads_to_are_those_of_a_sort(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, size = int(rng.integers(0, 400)), 1024
    keys, sums = np.full(size, -1, np.int32), np.zeros(size, np.float32)
    slots = rng.permutation(size)[:n].astype(np.int32)
    keys[slots] = rng.permutation(2 * size)[:n]
    sums[slots] = rng.normal(size=n) if seed % 2 else rng.integers(-3, 4, n)  # many ties
    for odd in (NAN, -np.inf, np.inf, -0.0)[: seed % 5]:
        sums[slots[rng.random(n) < 0.05]] = odd
    rows = np.sort(rng.permutation(5 * size)[: 2 * size]).astype(np.int32)
    may = rng.random(4 * size) < 0.5 if seed % 3 else np.empty(0, np.bool_)
    exclude, k = rng.integers(0, 5 * size, seed).astype(np.int32), int(rng.integers(0, 60))
    items, scores = best_of_table((keys, sums, slots), rows, k, may, exclude)
    told = [
        (-score, row)
        for row, score in zip(rows[keys[slots]].tolist(), sums[slots].tolist(), strict=True)
        if score > -np.inf
        and row not in exclude
        and (not len(may) or (row < len(may) and may[row]))
    ]
    assert items.tolist() == [row for _, row in sorted(told)[:k]]
    assert scores.tolist() == [-score for score, _ in sorted(told)[:k]]


def test_nothing_allowed_is_not_everything_allowed() -> None:
    rows, scores = np.arange(3, dtype=np.int32), np.ones(3, np.float32)
    none = question(np.empty(0, np.int32), [])
    assert len(top_listed(rows, scores, none, 3).items) == 0


def test_only_what_cannot_change_is_remembered() -> None:
    fixed = np.array([1, 3], np.int32)
    fixed.setflags(write=False)
    assert may_come(question(fixed, [])) is may_come(question(fixed, []))
    open_ = np.array([1, 3], np.int32)
    before = may_come(question(open_, [])).tolist()
    open_[0] = 0
    assert before == [False, True, False, True]
    assert may_come(question(open_, [])).tolist() == [True, False, False, True]


def test_a_union_holds_each_item_once_by_row() -> None:
    parts = [listed(np.asarray(p, np.int32), np.ones(len(p), np.float32)) for p in ([5, 2], [2, 9])]
    assert union_of(parts).items.tolist() == [2, 5, 9]
    assert len(union_of([Candidates.of([[]])]).items) == 0


def test_what_a_list_does_not_hold_is_unknown() -> None:
    rising, scores = np.array([2, 5], np.int32), np.array([0.5, 0.25], np.float32)
    asked = np.array([5, 3, 2, 9], np.int32)
    np.testing.assert_array_equal(look_up(rising, scores, asked), [0.25, NAN, 0.5, NAN])
    np.testing.assert_array_equal(look_up(rising[:0], scores[:0], asked), [NAN] * 4)


def test_the_first_places_are_of_what_something_speaks_for() -> None:
    scores = np.array([0.5, -1, 2, 0, 2, 0.5], np.float32)
    assert first_of(scores, 3).tolist() == [2, 4, 0]
    assert first_of(scores, 9).tolist() == [2, 4, 0, 5]
    assert first_of(scores, 0).tolist() == []


def test_what_is_no_number_says_nothing() -> None:
    scores = np.array([[NAN, -2, 3], [NAN, -1, -5]], np.float32)
    assert cleaned(scores).tolist() == [3, 0]
    assert scores.tolist() == [[0, -2, 3], [0, -1, -5]]

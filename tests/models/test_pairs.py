"""Pairs of one item in an array, against a dictionary of the same."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.models import pairs


@settings(deadline=None)  # compiles
@given(
    st.lists(st.tuples(st.integers(0, 2**40), st.floats(0.001, 1e9)), max_size=60),
    st.integers(1, 4),
)
def test_they_say_what_a_dictionary_says(taken: list[tuple[int, float]], people: int) -> None:
    held, size = pairs.some(), 0
    told: dict[int, tuple[int, float]] = {}
    for number, gain in repeated(taken):
        found, shoppers = pairs.count(held, size, number, gain)
        if found < 0:
            held = pairs.with_room(held, 1_000)
            found, shoppers = pairs.count(held, size, number, gain)
        size = found
        before = told.get(number, (0, 0.0))
        told[number] = before[0] + 1, before[1] + gain
        assert (size, shoppers) == (len(told), told[number][0])
    expected = {number: gain for number, (n, gain) in told.items() if n >= people}
    assert dict(pairs.taken_by(held[:size], people)) == pytest.approx(expected)


def repeated(taken: list[tuple[int, float]]) -> Iterator[tuple[int, float]]:
    for at, one in enumerate(taken):
        yield one
        if at % 3 == 0:
            yield taken[at // 2]


def test_the_weightiest_stay() -> None:
    held, size = pairs.with_room(pairs.with_room(pairs.some(), 8), 9), 0
    for number, gain in enumerate([3.0, 9.0, 1.0, 7.0, 5.0, 8.0, 2.0, 4.0, 6.0]):
        size, _ = pairs.count(held, size, number, gain)
    assert (size, len(held)) == (9, 9)
    assert pairs.let_go(held, 4) == 4
    assert pairs.taken_by(held[:4], 1) == [(1, 9.0), (5, 8.0), (3, 7.0), (8, 6.0)]


def test_more_people_than_can_be_told_stay_the_most() -> None:
    held = pairs.some()
    for _ in range(600):
        size, shoppers = pairs.count(held, 0 if _ == 0 else 1, 7, 1.0)
    assert (size, shoppers) == (1, pairs.PEOPLE - 1)
    assert pairs.taken_by(held[:1], 255) == [(7, 600.0)]
    assert pairs.count(held, 1, 8, 1.0) == (2, 1)  # its neighbour is not it

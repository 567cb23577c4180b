"""The bus between the workers of one machine: in order, whole, and honest about what it forgot."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.serve.sharing import Change
from endcap.serve.sharing_local import LocalBus, make_ring


def change(n: int, size: int = 8) -> Change:
    return Change("events", ids=(str(n),), rows=b"x" * size, sender="a")


@contextmanager
def two(folder: Path) -> Iterator[tuple[LocalBus, LocalBus]]:
    make_ring(folder / "ring", 4096)
    with closing(LocalBus(folder / "ring")) as one, closing(LocalBus(folder / "ring")) as other:
        yield one, other


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[LocalBus, LocalBus]]:
    with two(tmp_path) as buses:
        yield buses


def test_a_follower_gets_everything_in_order_from_where_it_began(
    pair: tuple[LocalBus, LocalBus],
) -> None:
    one, other = pair
    one.publish(change(0))
    assert other.catch_up() is None
    assert other.catch_up() == []
    for n in range(500):  # round the ring many times, over its seam
        one.publish(change(n, n % 300))
        assert other.catch_up() == [change(n, n % 300)]


def test_who_fell_behind_is_told_that_something_is_gone(pair: tuple[LocalBus, LocalBus]) -> None:
    one, other = pair
    other.catch_up()
    for n in range(100):
        one.publish(change(n, 100))
    assert other.catch_up() is None
    one.publish(change(1))
    assert other.catch_up() == [change(1)]


def test_what_is_too_large_has_everybody_read_again(pair: tuple[LocalBus, LocalBus]) -> None:
    one, other = pair
    other.catch_up()
    one.publish(change(1, 2000))
    assert other.catch_up() == [Change("reload", sender="a")]


def test_a_writer_that_died_half_way_is_written_over(pair: tuple[LocalBus, LocalBus]) -> None:
    one, other = pair
    other.catch_up()
    one._put(0, b"half a rec")  # and then it died: the end has not moved
    assert other.catch_up() == []
    one.publish(change(2))
    assert other.catch_up() == [change(2)]


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(0, 900), max_size=60), read=st.integers(1, 7))
def test_any_mixture_is_read_whole_or_said_to_be_gone(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], read: int
) -> None:
    with two(tmp_path_factory.mktemp("bus")) as (one, other):
        other.catch_up()
        waiting: list[Change] = []
        for n, size in enumerate(sizes):
            one.publish(change(n, size))
            waiting.append(change(n, size))
            if n % read == 0:
                found = other.catch_up()
                assert found is None or found == waiting
                waiting.clear()

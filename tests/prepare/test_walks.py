"""The kernels against ten-line versions of themselves."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.prepare.walks import k_core, sessions

pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), max_size=60)


def naive_core(rows, user_core, item_core):
    kept = set(rows)
    while True:
        users = {u for u, _ in kept if len({i for v, i in kept if v == u}) >= user_core}
        items = {i for _, i in kept if len({u for u, j in kept if j == i}) >= item_core}
        after = {(u, i) for u, i in kept if u in users and i in items}
        if after == kept:
            return [row in kept for row in rows]
        kept = after


@settings(deadline=None)
@given(pairs, st.integers(1, 4), st.integers(1, 4))
def test_the_core_is_the_fixpoint_of_removing(rows, user_core, item_core):
    users = np.array([u for u, _ in rows], np.int32)
    items = np.array([i for _, i in rows], np.int32)
    inside = k_core(users, items, user_core, item_core)
    assert inside.tolist() == naive_core(rows, user_core, item_core)


def test_a_chain_falls_as_a_whole():
    # User n touches items n and n + 1: the ends have degree one, and pull all others down.
    users = np.repeat(np.arange(50), 2).astype(np.int32)
    items = (users + np.tile([0, 1], 50)).astype(np.int32)
    assert not k_core(users, items, 2, 2).any()
    ring = (items % 50).astype(np.int32)
    assert k_core(users, ring, 2, 2).all()


def cut(times, baskets=None, visits=None, users=None, gap=30.0):
    n = len(times)
    return sessions(
        np.zeros(n, np.int32) if users is None else np.array(users, np.int32),
        np.array(times, np.int64) * 60_000_000,
        np.array(baskets or [0] * n, np.int64),
        np.array(visits or [0] * n, np.int64),
        gap,
    ).tolist()


def test_a_pause_longer_than_the_gap_starts_a_session():
    assert cut([0, 30, 61, 61]) == [0, 0, 1, 1]
    assert cut([0, 5], users=[0, 1]) == [0, 1]
    assert cut([]) == []


def test_an_order_is_one_session_and_browsing_joins_it():
    assert cut([0, 1, 2, 3], baskets=[0, 7, 0, 8]) == [0, 0, 0, 1]
    assert cut([0, 100], baskets=[7, 7]) == [0, 0]
    assert cut([0, 100, 101], baskets=[7, 0, 8]) == [0, 1, 1]
    assert cut([0, 1], visits=[3, 4]) == [0, 1]
    assert cut([0, 1, 2], visits=[3, 0, 3]) == [0, 0, 0]

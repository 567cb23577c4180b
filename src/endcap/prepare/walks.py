"""What must be walked in order: the k-core and the sessions, as kernels on sorted row numbers."""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

MINUTE_US: Final = 60_000_000

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]


def k_core(users: Ints, items: Ints, user_core: int, item_core: int) -> Bools:
    """Return which rows lie in the largest part where all users and items have enough company.

    Every user of the result has at least `user_core` different items in it, and every item at
    least `item_core` different users: the fixpoint of removing those that have not, which does
    not depend on the order of removal (Seidman, Network structure and minimum degree, 1983).

    Parameters
    ----------
    users, items
        int32 (n,), not negative; a pair may occur more than once and counts once.
    """
    n_users, n_items = int(users.max(initial=-1)) + 1, int(items.max(initial=-1)) + 1
    pairs = np.unique(users.astype(np.int64) * max(n_items, 1) + items)
    left, right = np.divmod(pairs, max(n_items, 1))
    by_item = np.argsort(right, kind="stable")
    dead_users, dead_items = _peel(
        *_lists(left, right, n_users),
        *_lists(right[by_item], left[by_item], n_items),
        user_core,
        item_core,
    )
    return np.asarray(~(dead_users[users] | dead_items[items]))


def sessions(users: Ints, times: Longs, baskets: Longs, visits: Longs, gap_minutes: float) -> Longs:
    """Return int64 (n,): a number for each visit or basket, from 0, growing with the rows.

    Parameters
    ----------
    users, times
        Sorted by user, then time (UTC microseconds).
    baskets, visits
        Marks of order and of the client's own session, 0 for none. Rows of one order stay
        together whatever time lies between; another order, or another client session, starts
        a new one; so does a pause longer than `gap_minutes`.
    """
    return np.asarray(_sessions(users, times, baskets, visits, int(gap_minutes * MINUTE_US)))


def _lists(owners: Longs, others: Longs, n: int) -> tuple[Longs, Longs]:
    starts = np.concatenate(([0], np.cumsum(np.bincount(owners, minlength=n)))).astype(np.int64)
    return starts, others


@numba.njit(cache=True)
def _peel(u_start, u_items, i_start, i_users, user_core, item_core):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Remove what has too few neighbours, and then those neighbours that lost too many."""
    n_users, n_items = len(u_start) - 1, len(i_start) - 1
    user_degree, item_degree = np.diff(u_start), np.diff(i_start)
    dead_users, dead_items = user_degree < user_core, item_degree < item_core
    stack = np.empty(n_users + n_items, np.int64)  # users as they are, items after all users
    height = 0
    for user in range(n_users):
        if dead_users[user]:
            stack[height] = user
            height += 1
    for item in range(n_items):
        if dead_items[item]:
            stack[height] = n_users + item
            height += 1
    while height:
        height -= 1
        gone = stack[height]
        if gone < n_users:
            for item in u_items[u_start[gone] : u_start[gone + 1]]:
                item_degree[item] -= 1
                if not dead_items[item] and item_degree[item] < item_core:
                    dead_items[item] = True
                    stack[height] = n_users + item
                    height += 1
        else:
            for user in i_users[i_start[gone - n_users] : i_start[gone - n_users + 1]]:
                user_degree[user] -= 1
                if not dead_users[user] and user_degree[user] < user_core:
                    dead_users[user] = True
                    stack[height] = user
                    height += 1
    return dead_users, dead_items


@numba.njit(cache=True)
def _sessions(users, times, baskets, visits, gap):  # type: ignore[no-untyped-def]
    out = np.empty(len(users), np.int64)
    number, basket, visit = -1, 0, 0
    for row in range(len(users)):
        fresh = row == 0 or users[row] != users[row - 1]
        same_order = not fresh and baskets[row] != 0 and baskets[row] == basket
        if not fresh and not same_order:
            fresh = (
                times[row] - times[row - 1] > gap
                or (baskets[row] != 0 and basket != 0)
                or (visits[row] != 0 and visit != 0 and visits[row] != visit)
            )
        if fresh:
            number += 1
            basket, visit = 0, 0
        basket = baskets[row] if baskets[row] != 0 else basket
        visit = visits[row] if visits[row] != 0 else visit
        out[row] = number
    return out

"""A shop of any size to time on: power-law people and items, and a taste to be found."""

from typing import NamedTuple

import numba
import numpy as np
from scipy import sparse

LIKED = 4
"""Groups of items that each person keeps coming back to."""
CHOICE = np.cumsum((0.4, 0.25, 0.15, 0.1))
"""Where a person looks: their groups in turn, and what remains, anywhere."""
HELD_USERS, HELD_SHARE = 5_000, 0.2


class Shop(NamedTuple):
    """What is fitted on, and what was held back of some of its users.

    Attributes
    ----------
    train
        CSR float32 (users, items) of ones.
    asked
        int64 (n,): users of whom something was held back.
    held
        CSR float32 (n, items): that.
    """

    train: sparse.csr_array
    asked: np.ndarray
    held: sparse.csr_array


def shop(users: int, items: int, interactions: int, seed: int) -> Shop:
    """Draw a shop and hold back a fifth of what some people took."""
    rng = np.random.default_rng(seed)
    matrix = draw(users, items, interactions, rng)
    asked = np.sort(rng.choice(users, min(HELD_USERS, users // 2), replace=False))
    owner = np.repeat(np.arange(users), np.diff(matrix.indptr))
    held = np.isin(owner, asked) & (rng.random(matrix.nnz) < HELD_SHARE)
    kept, back = (
        sparse.csr_array((matrix.data[mask], (owner[mask], matrix.indices[mask])), matrix.shape)
        for mask in (~held, held)
    )
    return Shop(kept, asked, back[asked])


def draw(users: int, items: int, interactions: int, rng: np.random.Generator) -> sparse.csr_array:
    """Return CSR float32 (users, items) of about `interactions` ones, at least 3 a user.

    People's activity and items' popularity fall as powers of their rank, with a floor; items fall
    into groups, and a person draws 90 % of theirs, none twice, out of four of these.
    """
    activity = rng.permutation((np.arange(1, users + 1) + 0.004 * users) ** -0.8)
    counts = np.maximum(3, rng.poisson(activity * (interactions / activity.sum())))
    popularity = (np.arange(1, items + 1) + 0.0005 * items) ** -1.0
    group_of = np.sort(rng.integers(0, max(LIKED, int(items**0.5)), items))
    order = rng.permutation(items)
    mass = np.concatenate(([0.0], np.cumsum(popularity[order])))
    first = np.searchsorted(group_of, np.arange(group_of[-1] + 2))
    bounds = mass[first]
    likes = np.searchsorted(bounds, rng.random((users, LIKED)) * mass[-1], side="right") - 1
    counts = np.minimum(counts, items // 4)
    taken = _draw(counts, likes, bounds, mass, CHOICE, int(rng.integers(2**31)))
    indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    ones = np.ones(len(taken), np.float32)
    found = sparse.csr_array((ones, order[taken].astype(np.int32), indptr), shape=(users, items))
    found.sort_indices()
    return found


@numba.njit(cache=True)
def _draw(counts, likes, bounds, mass, choice, seed):
    """Draw distinct places of each person by rejection."""
    np.random.seed(seed)
    out = np.empty(counts.sum(), np.int32)
    owner = np.full(len(mass), -1, np.int64)
    at = 0
    for user in range(len(counts)):
        left, tries = counts[user], 0
        while left:
            slot = np.searchsorted(choice, np.random.random())
            low, high = 0.0, mass[-1]
            if slot < len(choice) and tries < 20 * counts[user]:
                group = likes[user, slot]
                low, high = bounds[group], bounds[group + 1]
            tries += 1
            place = np.searchsorted(mass, low + np.random.random() * (high - low), "right") - 1
            place = min(max(place, 0), len(mass) - 2)
            if owner[place] != user:
                owner[place] = user
                out[at] = place
                at, left = at + 1, left - 1
    return out

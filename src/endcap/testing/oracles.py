"""Small worlds whose right answer is known beforehand.

Sides are different primes, so that a model with users and items (or rows and columns) swapped
cannot pass by symmetry.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from endcap.prepare.dataset import Dataset

Rows = npt.NDArray[np.int32]
DAY_US: Final = 86_400_000_000


@dataclass(frozen=True)
class Oracle:
    """A data set and, for some users, the one right next item.

    Attributes
    ----------
    data
        What may be learned from.
    users, answers
        int32 (n,): user rows and the item row that must come first for each.
    """

    data: Dataset
    users: Rows
    answers: Rows


def checkerboard(n_users: int = 61, n_items: int = 43) -> Oracle:
    """User u takes every item of its own parity, but for item ``u mod n_items``.

    That withheld item is the only one left of the right parity.
    """
    user, item = np.divmod(np.arange(n_users * n_items), n_items)
    fits = (user + item) % 2 == 0
    taken = fits & (item != user % n_items)
    withheld = fits & (item == user % n_items)
    data = Dataset.of(
        [f"u{u:04d}" for u in user[taken]],
        [f"i{i:04d}" for i in item[taken]],
        values=np.full(int(taken.sum()), 5.0),
    )
    return Oracle(data, user[withheld].astype(np.int32), item[withheld].astype(np.int32))


def popularity_with_ties() -> tuple[Dataset, list[str]]:
    """Return a data set and its items by falling number of distinct users, ties by id.

    One user takes one item many times over, which must not count.
    """
    people = {"b": 5, "d": 3, "c": 3, "a": 2, "e": 1}
    pairs = [(f"u{n}", item) for item, count in people.items() for n in range(count)]
    pairs += [("u0", "e")] * 11
    users, items = zip(*pairs, strict=True)
    return Dataset.of(users, items), ["b", "c", "d", "a", "e"]


def trends() -> tuple[Dataset, list[str]]:
    """Return a data set and its items by falling trend: five buyers long ago, two last week."""
    rows = [(f"u{n}", "old", 0) for n in range(5)] + [(f"u{n}", "new", 100) for n in range(2)]
    users, items, days = zip(*rows, strict=True)
    return Dataset.of(users, items, times=np.array(days) * DAY_US), ["new", "old"]


def two_chains(n_users: int = 11) -> Oracle:
    """Two sorts of session, ``a > b`` and ``c > d > e``; the last of each is withheld once.

    The first user has seen only ``a``, the second only ``c`` and ``d``.
    """
    rows = [("u00", "a", 0), ("u01", "c", 0), ("u01", "d", 1)]
    for n in range(2, n_users):
        chain = "ab" if n % 2 else "cde"
        rows += [(f"u{n:02d}", item, step) for step, item in enumerate(chain)]
    users, items, steps = zip(*rows, strict=True)
    data = Dataset.of(users, items, times=np.array(steps), values=np.full(len(rows), 4.0))
    return Oracle(data, np.array([0, 1], np.int32), data.items.rows(["b", "e"]))


@dataclass(frozen=True)
class RatingOracle:
    """Ratings that follow a law, and withheld ones to predict."""

    data: Dataset
    users: Rows
    items: Rows
    values: npt.NDArray[np.float32]


def rank_one_ratings(n_users: int = 53, n_items: int = 37, seed: int = 0) -> RatingOracle:
    """``3 + b_u + b_i + p_u q_i`` without noise; one cell in five is withheld."""
    rng = np.random.default_rng(seed)
    bias_u, p = rng.uniform(-0.4, 0.4, (2, n_users))
    bias_i, q = rng.uniform(-0.4, 0.4, (2, n_items))
    values = 3 + bias_u[:, None] + bias_i + 5 * np.outer(p, q)
    shown = rng.random(values.shape) > 0.2
    user, item = np.nonzero(shown)
    data = Dataset.of(
        [f"u{u:03d}" for u in user], [f"i{i:03d}" for i in item], values=values[shown]
    )
    users, items = (part.astype(np.int32) for part in np.nonzero(~shown))
    return RatingOracle(data, users, items, values[~shown].astype(np.float32))

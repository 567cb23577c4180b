"""What goes with one item, in sixteen bytes a pair: nearly all are taken once, and never again.

A pair is a row of a float64 array, of which the first `size` count: ``number * 256 + people``
(whole numbers, exact below 2^53) and the decayed count. A dictionary takes five times as much.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
FEW: Final = 4
PEOPLE: Final = 256


def some() -> Floats:
    """Return room for a few pairs, of which none counts yet."""
    return np.empty((FEW, 2))


def with_room(pairs: Floats, most: int) -> Floats:
    """Return the same pairs with room for as many more, `most` in all."""
    out = np.empty((min(2 * len(pairs), most), 2))
    out[: len(pairs)] = pairs
    return out


def let_go(pairs: Floats, kept: int) -> int:
    """Keep the weightiest, which come first from now on; return how many they are."""
    best = np.argsort(-pairs[:, 1], kind="stable")[:kept]
    pairs[: len(best)] = pairs[best]
    return len(best)


def taken_by(pairs: Floats, people: int) -> list[tuple[int, float]]:
    """Return number and count of each pair that so many have taken."""
    numbers, shoppers = np.divmod(pairs[:, 0].astype(np.int64), PEOPLE)
    heard = shoppers >= people
    return list(zip(numbers[heard].tolist(), pairs[heard, 1].tolist(), strict=True))


@numba.njit(cache=True)
def count(pairs, size, number, gain):  # type: ignore[no-untyped-def]
    """Count one shopper more for a pair; return how many pairs there are and how many took it.

    -1 and 0, with nothing done, where there is no room for one more. It keeps the interpreter: it
    takes a fraction of a microsecond, and letting go costs more.
    """
    first = np.float64(number) * PEOPLE
    for at in range(size):
        key = pairs[at, 0]
        if first <= key < first + PEOPLE:
            if key < first + PEOPLE - 1:
                pairs[at, 0] = key + 1
            pairs[at, 1] += gain
            return size, int(pairs[at, 0] - first)
    if size == len(pairs):
        return -1, 0
    pairs[size, 0] = first + 1
    pairs[size, 1] = gain
    return size + 1, 1

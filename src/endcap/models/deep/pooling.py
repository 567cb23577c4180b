"""The shopper's tower in NumPy: faded means of a history, and a layer on them."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.models.deep.encoder import norm
from endcap.models.deep.inputs import Events

Array = npt.NDArray[np.float32]
RATES: Final = (1.0, 0.1)
"""By which an event fades with each newer one, before anything is learnt."""


class Tower(NamedTuple):
    """What the tower of the shopper has learnt; d is the width, r the number of rates.

    Attributes
    ----------
    rates
        float32 (r,).
    shares
        float32 (r, d): of each faded mean in the plain sum.
    norm
        float32 (2, r d): scale and shift.
    up, up_shift, down, down_shift
        float32 (r d, 2 d), (2 d,), (2 d, d), (d,).
    """

    rates: Array
    shares: Array
    norm: Array
    up: Array
    up_shift: Array
    down: Array
    down_shift: Array


def pool(
    tower: Tower, inputs: Array, events: Events, most: int
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return float32 (n, d), the shopper of each history, and whether it has any event.

    Parameters
    ----------
    inputs
        float32 (n_items, d).
    most
        The newest events that are read.
    """
    counts = np.diff(events.indptr)
    age = np.repeat(events.indptr[1:], counts) - 1 - np.arange(len(events.items))
    means = []
    for rate in tower.rates:
        weights = np.where(age < most, np.exp(-rate * age), 0)
        total = np.bincount(np.repeat(np.arange(len(counts)), counts), weights, len(counts))
        shares = weights / np.repeat(total, counts)
        table = sparse.csr_array(
            (shares.astype(np.float32), events.items, events.indptr),
            shape=(len(counts), len(inputs)),
        )
        means.append(table @ inputs)
    pooled = np.concatenate(means, axis=1)
    plain = (pooled.reshape(len(counts), *tower.shares.shape) * tower.shares).sum(axis=1)
    bent = norm(pooled, tower.norm) @ tower.up + tower.up_shift
    bent /= 1 + np.exp(-bent)
    return np.asarray(plain + bent @ tower.down + tower.down_shift, np.float32), counts > 0

"""Stochastic descent on ordered pairs, for `bpr`."""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.models.weighting import parts, rows_of

Array = npt.NDArray[np.float32]
START = 1e-6
"""What each row has moved before the first step."""


class Tables(NamedTuple):
    """What is learnt, and how far each row has moved: sums of mean squared gradients.

    Attributes
    ----------
    users, items, bias
        float32 (n_users, d), (n_items, d), (n_items,).
    users_moved, items_moved, bias_moved
        float32 (n,).
    """

    users: Array
    items: Array
    bias: Array
    users_moved: Array
    items_moved: Array
    bias_moved: Array

    @classmethod
    def start(
        cls, shape: tuple[int, int], d: int, init: float, rng: np.random.Generator
    ) -> "Tables":
        """Begin small, without biases."""
        scale = init / np.sqrt(d)
        users, items = ((rng.standard_normal((n, d)) * scale).astype(np.float32) for n in shape)
        moved = [np.full(n, START, np.float32) for n in (*shape, shape[1])]
        return cls(users, items, np.zeros(shape[1], np.float32), *moved)


def learn_pairs(
    matrix: sparse.csr_array,
    tables: Tables,
    tickets: npt.NDArray[np.int32],
    rates: tuple[float, float, float, bool, int],
    rng: np.random.Generator,
) -> float:
    """Visit each event once in a new order, change `tables`, return the share found in bad order.

    Parameters
    ----------
    matrix
        CSR (n_users, n_items): how much each pair counts.
    tickets
        Items as often as they should be drawn.
    rates
        (step, l2 of factors, l2 of biases, whether WARP, draws at most).
    """
    if not matrix.nnz:
        return 0.0
    order = rng.permutation(matrix.nnz)
    seed = np.uint64(rng.integers(1, 2**63))
    taken = (rows_of(matrix), *parts(matrix))
    mean = float(matrix.data.mean())
    draw = (tickets, seed)
    return float(_visit(order, taken, tuple(tables), draw, (*rates, 1 / mean)) / len(order))


@numba.njit(cache=True, nogil=True, inline="always")
def _next(state):  # type: ignore[no-untyped-def]
    """Return the next state of xorshift64."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    state ^= state << np.uint64(17)
    return state


@numba.njit(cache=True, nogil=True)
def _has(columns, start, stop, j):  # type: ignore[no-untyped-def]
    """Tell whether j is in a rising stretch of `columns`."""
    end = stop
    while start < stop:
        middle = (start + stop) // 2
        if columns[middle] < j:
            start = middle + 1
        else:
            stop = middle
    return stop < end and columns[stop] == j


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"}, inline="always")
def _score(p, q, bias):  # type: ignore[no-untyped-def]
    s = bias
    for f in range(len(p)):
        s += p[f] * q[f]
    return s


@numba.njit(cache=True, nogil=True)
def _visit(order, taken, tables, draw, rates):  # type: ignore[no-untyped-def]
    """Return how many pairs were in bad order."""
    (rows, indptr, columns, weights), (users, items, bias, _, _, _) = taken, tables
    (tickets, state), (_, _, _, warp, trials, scale) = draw, rates
    mask, wrong = np.uint64(len(tickets) - 1), 0
    for at in order:
        u, i = rows[at], columns[at]
        first, last = indptr[u], indptr[u + 1]
        own = _score(users[u], items[i], bias[i])
        for drawn in range(1, trials + 1):
            state = _next(state)
            j = tickets[(state >> np.uint64(11)) & mask]
            apart = own - _score(users[u], items[j], bias[j])
            if warp and apart >= 1:
                continue
            if j == i or _has(columns, first, last, j):
                continue
            pull = np.log(max(1.0, len(items) // drawn)) if warp else 1 / (1 + np.exp(apart))
            wrong += warp or apart < 0
            _move((u, i, j), np.float32(pull * weights[at] * scale), tables, rates)
            break
    return wrong


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _move(pair, pull, tables, rates):  # type: ignore[no-untyped-def]
    """Take one step down ``-pull (s_ui - s_uj) + ridge`` on the rows that take part."""
    (u, i, j), (step, l2, bias_l2) = pair, rates[:3]
    users, items, bias, users_moved, items_moved, bias_moved = tables
    p, q, r = users[u], items[i], items[j]
    step, l2 = np.float32(step), np.float32(l2)
    a = b = c = np.float32(0)
    for f in range(len(p)):
        a += (pull * (q[f] - r[f]) - l2 * p[f]) ** 2
        b += (pull * p[f] - l2 * q[f]) ** 2
        c += (pull * p[f] + l2 * r[f]) ** 2
    users_moved[u] += a / len(p)
    items_moved[i] += b / len(p)
    items_moved[j] += c / len(p)
    fast_p = step / np.sqrt(users_moved[u])
    fast_q = step / np.sqrt(items_moved[i])
    fast_r = step / np.sqrt(items_moved[j])
    for f in range(len(p)):
        was = p[f]
        p[f] += fast_p * (pull * (q[f] - r[f]) - l2 * was)
        q[f] += fast_q * (pull * was - l2 * q[f])
        r[f] -= fast_r * (pull * was + l2 * r[f])
    for k, sign in ((i, 1), (j, -1)):
        slope = np.float32(sign * pull - bias_l2 * bias[k])
        bias_moved[k] += slope**2
        bias[k] += step * slope / np.sqrt(bias_moved[k])

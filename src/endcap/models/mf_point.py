"""Point estimates of a biased matrix factorisation: stochastic, alternating, or full-batch Adam.

All three minimise the same masked squared loss,
``sum over known (u, i) of (r - mean - b_u - b_i - p_u.q_i)^2
+ l2 (b_u^2 + b_i^2 + |p_u|^2 + |q_i|^2)``.
Rows hold the bias in dimension 0 and the factors in the others.
"""

import numba
import numpy as np
from scipy import sparse

from endcap.models.mf_rows import Floats, Prior, Ratings, solve_rows
from endcap.schema.progress import Progress

Pair = tuple[Floats, Floats]
FLOOR = 1e-6
"""Least ridge: keeps rows without ratings solvable when `l2` is 0."""


def start(ratings: Ratings, factors: int, init: float, rng: np.random.Generator) -> Pair:
    """Return users and items: biases 0, factors normal with deviation `init`."""
    users, items = (rng.standard_normal((n, factors + 1)) * init for n in ratings.by_user.shape)
    users[:, 0] = items[:, 0] = 0
    return users, items


def als(ratings: Ratings, pair: Pair, epochs: int, l2: float, progress: Progress) -> Pair:
    """Alternate exact solutions; the same on any number of threads."""
    users, items = pair
    width = users.shape[1]
    for epoch in range(epochs):
        for table, side in ((ratings.by_user, 0), (ratings.by_item, 1)):
            prior = Prior(np.zeros((table.shape[0], width)), np.full(width, FLOOR), l2)
            if side == 0:
                users = solve_rows(table, items, prior)
            else:
                items = solve_rows(table, users, prior)
        progress(epoch + 1, epochs, f"loss {loss(ratings, (users, items)):.4f}")
    return users, items


def sgd(
    ratings: Ratings,
    pair: Pair,
    epochs: int,
    rates: tuple[float, float],
    *,
    rng: np.random.Generator,
    progress: Progress,
) -> Pair:
    """Visit the ratings one by one in a new random order each epoch; ``rates`` = (step, l2)."""
    users, items = pair
    u, i, r = ratings.triplets
    for epoch in range(epochs):
        _sgd_epoch(rng.permutation(len(r)), (u, i, r), users, items, rates)
        progress(epoch + 1, epochs, f"loss {loss(ratings, (users, items)):.4f}")
    return users, items


@numba.njit(cache=True, nogil=True)
def _sgd_epoch(order, triplets, users, items, rates):  # type: ignore[no-untyped-def]
    (rows, columns, values), (step, l2) = triplets, rates
    d = users.shape[1]
    for at in order:
        p, q = users[rows[at]], items[columns[at]]
        error = values[at] - p[0] - q[0]
        for f in range(1, d):
            error -= p[f] * q[f]
        p[0] += step * (error - l2 * p[0])
        q[0] += step * (error - l2 * q[0])
        for f in range(1, d):
            pf = p[f]
            p[f] += step * (error * q[f] - l2 * pf)
            q[f] += step * (error * pf - l2 * q[f])


def adam(
    ratings: Ratings, pair: Pair, epochs: int, rates: tuple[float, float], progress: Progress
) -> Pair:
    """Take full-batch steps by Adam (Kingma and Ba 2015); ``rates`` = (step, l2)."""
    u, i, r = ratings.triplets
    table = ratings.by_user.copy()
    counts = [
        np.bincount(x, minlength=n)[:, None] for x, n in zip((u, i), table.shape, strict=True)
    ]
    moments = [[np.zeros_like(side), np.zeros_like(side)] for side in pair]
    for epoch in range(epochs):
        table.data = _fitted(pair, u, i) - r
        for side, pull in enumerate(_gradients(table, pair)):
            gradient = (pull + rates[1] * counts[side] * pair[side]) * (2 / max(len(r), 1))
            _adam_step(pair[side], gradient, moments[side], epoch, rates[0])
        progress(epoch + 1, epochs, f"loss {loss(ratings, pair):.4f}")
    return pair


def _gradients(errors: sparse.csr_array, pair: Pair) -> Pair:
    users, items = pair
    by_user, by_item = errors @ items, errors.T @ users
    by_user[:, 0], by_item[:, 0] = errors.sum(axis=1), errors.sum(axis=0)
    return by_user, by_item


def _adam_step(
    rows: Floats, gradient: Floats, moments: list[Floats], epoch: int, step: float
) -> None:
    first, second = moments
    first += (1 - 0.9) * (gradient - first)
    second += (1 - 0.999) * (gradient**2 - second)
    scaled = (first / (1 - 0.9 ** (epoch + 1)), second / (1 - 0.999 ** (epoch + 1)))
    rows -= step * scaled[0] / (np.sqrt(scaled[1]) + 1e-8)


def loss(ratings: Ratings, pair: Pair) -> float:
    """Return the mean squared error over the known ratings."""
    u, i, r = ratings.triplets
    return float(np.mean((r - _fitted(pair, u, i)) ** 2)) if len(r) else 0.0


def _fitted(pair: Pair, u: np.ndarray, i: np.ndarray) -> Floats:
    users, items = pair
    inner = np.einsum("nd,nd->n", users[u, 1:], items[i, 1:])
    return np.asarray(users[u, 0] + items[i, 0] + inner)

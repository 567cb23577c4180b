"""Bayesian matrix factorisation by Gibbs sampling, with priors that know who rated what.

Salakhutdinov and Mnih 2008 (BPMF) with independent dimensions; the means of the priors follow
from side features as in Simm et al. 2017 (Macau). The features are those of SVD++ (Koren 2008):
which items a user rated at all and which users rated an item, reduced by an SVD.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from endcap.features.svd import svd
from endcap.models.mf_rows import Floats, Prior, Ratings, solve_rows
from endcap.schema.progress import Progress


@dataclass
class Block:
    """Features of a side's rows, and how they move the means of its priors."""

    features: Floats  # (n, k), orthogonal columns
    trust: Floats  # (d + 1,): precision of `effects`
    effects: Floats  # (k, d + 1)

    @classmethod
    def start(cls, features: Floats, d: int) -> "Block":
        """Begin without effects."""
        return cls(features, np.ones(d + 1), np.zeros((features.shape[1], d + 1)))

    @property
    def told(self) -> Floats:
        """float64 (n, d + 1): what the features say of each row."""
        said: Floats = self.features @ self.effects
        return said

    def draw(self, rest: Floats, precision: Floats, rng: np.random.Generator) -> None:
        """Draw the effects given what is left for them to explain, then their precision."""
        k, width = self.effects.shape
        energy = (self.features**2).sum(axis=0)[:, None]
        spread = precision * energy + self.trust
        pull = precision * (self.features.T @ rest)
        self.effects = pull / spread + rng.standard_normal((k, width)) / np.sqrt(spread)
        self.trust = _gamma(rng, k + 1.0, (self.effects**2).sum(axis=0) + 1.0)


@dataclass
class Side:
    """One side of the chain, users or items: its present draw and what is believed of it."""

    ratings: sparse.csr_array
    blocks: list[Block]
    rows: Floats  # (n, d + 1)
    mean: Floats  # (d + 1,)
    precision: Floats  # (d + 1,)

    @classmethod
    def start(
        cls, ratings: sparse.csr_array, blocks: list[Block], d: int, rng: np.random.Generator
    ) -> "Side":
        """Begin small, and believe little."""
        rows = rng.standard_normal((ratings.shape[0], d + 1)) * 0.1
        rows[:, 0] = 0
        return cls(ratings, blocks, rows, np.zeros(d + 1), np.full(d + 1, 5.0))

    def draw(self, other: Floats, noise: float, rng: np.random.Generator) -> None:
        """Draw beliefs given the rows, then the rows given beliefs and the other side."""
        n, width = self.rows.shape
        told = [block.told for block in self.blocks]
        for b, block in enumerate(self.blocks):
            others = sum((said for a, said in enumerate(told) if a != b), start=self.mean)
            block.draw(self.rows - others, self.precision, rng)
            told[b] = block.told
        said = sum(told[1:], start=told[0])
        rest = self.rows - said
        noise_of_mean = rng.standard_normal(width) / np.sqrt((n + 1) * self.precision)
        self.mean = rest.sum(axis=0) / (n + 1) + noise_of_mean
        squares = ((rest - self.mean) ** 2).sum(axis=0) + self.mean**2 + 1.0
        self.precision = _gamma(rng, n + 2.0, squares)
        prior = Prior(said + self.mean, self.precision, noise=noise)
        self.rows = solve_rows(self.ratings, other, prior, rng.standard_normal((n, width)))


class Chain(NamedTuple):
    """Draws kept from a chain; ``s`` counts draws.

    Attributes
    ----------
    users, items
        float64 (s, n, d + 1).
    user_mean, item_mean, user_ridge
        float64 (s, d + 1): priors; the ridge is in units of a rating's precision.
    user_effects
        float64 (s, k, d + 1).
    basis
        float64 (n_items, k): a user's features are ``basis`` summed over their items, divided by
        the root of how many there are.
    """

    users: Floats
    items: Floats
    user_mean: Floats
    item_mean: Floats
    user_ridge: Floats
    user_effects: Floats
    basis: Floats


def gibbs(
    ratings: Ratings,
    shape: tuple[int, int],
    schedule: tuple[int, int, int],
    rng: np.random.Generator,
    progress: Progress,
    *,
    attributes: tuple[Floats, Floats] | None = None,
) -> Chain:
    """Run a chain.

    Parameters
    ----------
    ratings
        What is known.
    shape
        (factors, side features).
    schedule
        (sweeps, of which dropped at the start, draws kept of the rest at even distances).
    attributes
        float64 (n_users, a) and (n_items, b), orthogonal columns: what else is known of the rows.
    """
    d, k = shape
    sweeps, dropped, kept = schedule
    with threadpool_limits(1):  # so that the draws do not depend on the number of threads
        sides, basis = _start(ratings, d, k, rng)
        for side, features in zip(sides, attributes or (), strict=attributes is not None):
            side.blocks += [Block.start(features, d)] if features.size else []
        draws = []
        wanted = set(np.linspace(dropped, sweeps - 1, kept).astype(int).tolist())
        for sweep in range(sweeps):
            users, items = sides
            loss, noise = _noise(ratings, users.rows, items.rows, rng)
            users.draw(items.rows, noise, rng)
            items.draw(users.rows, noise, rng)
            if sweep in wanted:
                ridge = users.precision / noise
                effects = users.blocks[0].effects
                draws.append((users.rows, items.rows, users.mean, items.mean, ridge, effects))
            progress(sweep + 1, sweeps, f"loss {loss:.4f}")
    return Chain(*map(np.stack, zip(*draws, strict=True)), basis)  # type: ignore[call-arg]


def side_features(basis: Floats, taken: sparse.csr_array) -> Floats:
    """Return float64 (n, k): ``sum of basis / sqrt(count)`` over the stored entries of each row."""
    count = np.diff(taken.indptr)
    ones = sparse.csr_array((np.ones(taken.nnz), taken.indices, taken.indptr), shape=taken.shape)
    summed: Floats = (ones @ basis) / np.sqrt(np.maximum(count, 1))[:, None]
    return summed


def _start(
    ratings: Ratings, d: int, k: int, rng: np.random.Generator
) -> tuple[tuple[Side, Side], Floats]:
    sides, bases = [], []
    for table in (ratings.by_user, ratings.by_item):
        basis = _basis(table, k, rng)
        blocks = [Block.start(side_features(basis, table), d)]
        sides.append(Side.start(table, blocks, d, rng))
        bases.append(basis)
    return (sides[0], sides[1]), bases[0]


def _basis(table: sparse.csr_array, k: int, rng: np.random.Generator) -> Floats:
    """Return float64 (m, k): directions that make the features of the rows orthogonal."""
    count = np.diff(table.indptr)
    data = np.repeat(1 / np.sqrt(np.maximum(count, 1)), count).astype(np.float32)
    normed = sparse.csr_array((data, table.indices, table.indptr), shape=table.shape)
    basis = svd(normed, k, rng).components.T.astype(np.float64)
    features = side_features(basis, table)
    return np.asarray(basis @ np.linalg.eigh(features.T @ features)[1])


def _noise(
    ratings: Ratings, users: Floats, items: Floats, rng: np.random.Generator
) -> tuple[float, float]:
    u, i, r = ratings.triplets
    fitted = users[u, 0] + items[i, 0] + np.einsum("nd,nd->n", users[u, 1:], items[i, 1:])
    squares = float(np.sum((r - fitted) ** 2))
    return squares / max(len(r), 1), float(_gamma(rng, len(r) + 1.0, np.array(squares + 1.0)))


def _gamma(rng: np.random.Generator, shape: float, rate: Floats) -> Floats:
    """Draw precisions: ``Gamma(shape / 2, rate / 2)``."""
    return np.asarray(rng.gamma(0.5 * shape, 1 / (0.5 * rate)))

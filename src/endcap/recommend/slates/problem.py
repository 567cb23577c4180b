"""A slate to be composed, as arrays: what `kernels` and `exact` solve."""

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Method = Literal["pairs", "mmr", "dpp", "ssd"]
MODES: Final[dict[str, int]] = {"pairs": 0, "mmr": 1, "dpp": 2, "ssd": 3}
UNBOUNDED: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Bound:
    """How many of some items the first positions may hold.

    Attributes
    ----------
    name
        As the rule is called.
    codes
        int32 (n,): which group each candidate is in, -1 for none. `hi` holds for each group, `lo`
        for group 0.
    lo, hi
        At least and at most.
    first
        Of how many positions, from the top.
    """

    name: str
    codes: Ints
    lo: int = 0
    hi: int = UNBOUNDED
    first: int = UNBOUNDED


@dataclass(frozen=True, slots=True)
class Problem:
    """Candidates, and what a slate of them is worth.

    Attributes
    ----------
    k
        How many positions; no more than there are candidates.
    relevance
        float64 (n,) in [0, 1]: what each candidate is worth in the first position.
    likeness
        float32 (n, n): cosine of each pair, 1 on the diagonal; (0, 0) where nothing is known.
    pins
        Position -> candidate.
    bounds
        In order of precedence.
    diversity, method, window
        The share of variety in the value, how it is measured, and over how many neighbours (ssd).
    calibration, mix, groups
        The share of balance, the mix that is wanted, float64 (g,), and each candidate's,
        float64 (n, g), rows summing to 1 or 0.
    bonus
        float64 (n,): what showing a candidate is worth in itself, wherever it stands.
    """

    k: int
    relevance: Floats
    likeness: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    pins: dict[int, int] = field(default_factory=dict)
    bounds: tuple[Bound, ...] = ()
    diversity: float = 0.0
    method: Method = "pairs"
    window: int = 5
    calibration: float = 0.0
    mix: Floats = field(default_factory=lambda: np.zeros(0))
    groups: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    bonus: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def discounts(self) -> Floats:
        """float64 (k,): the share of attention that each position gets, 1 / log2(rank + 1)."""
        gains = 1 / np.log2(np.arange(2, self.k + 2))
        shares: Floats = gains / gains.sum()
        return shares

    def expected(self, order: npt.NDArray[np.int64]) -> float:
        """Return the discounted relevance of a slate: what rules are priced in."""
        return float(self.discounts @ self.relevance[order])

    def holds(self, order: npt.NDArray[np.int64]) -> bool:
        """Whether a full slate keeps every pin and bound."""
        if len(order) != self.k or len(set(order.tolist())) != self.k or (order < 0).any():
            return False
        if any(order[position] != candidate for position, candidate in self.pins.items()):
            return False
        return all(_within(bound, bound.codes[order[: bound.first]]) for bound in self.bounds)


def _within(bound: Bound, codes: Ints) -> bool:
    counts = np.bincount(codes[codes >= 0], minlength=1)
    return bool(counts.max() <= bound.hi and counts[0] >= bound.lo)

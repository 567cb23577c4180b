"""Bring columns to one scale: fitted on training rows only, then applied to any.

Each class is frozen and holds plain numbers. NaN stays NaN and does not take part in a fit; a
constant column becomes 0.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Scale(Protocol):
    """What all of them can do.

    Stability: implementer.
    """

    @classmethod
    def fit(cls, values: npt.ArrayLike) -> Self:
        """Learn from a column, (n,)."""

    def apply(self, values: npt.ArrayLike) -> Floats:
        """Return the column scaled, float64 (n,)."""


@dataclass(frozen=True, slots=True)
class ZScore:
    """``(x - mean) / standard deviation`` (of the population)."""

    mean: float
    deviation: float

    @classmethod
    def fit(cls, values: npt.ArrayLike) -> Self:
        """Learn mean and deviation."""
        known = _known(values)
        if not len(known):
            return cls(0.0, 0.0)
        constant = known.min() == known.max()  # rounding would leave it a tiny deviation
        return cls(float(known.mean()), 0.0 if constant else float(known.std()))

    def apply(self, values: npt.ArrayLike) -> Floats:
        """Return values with mean 0 and deviation 1 on what was fitted."""
        return _divide(np.asarray(values, np.float64) - self.mean, self.deviation)


@dataclass(frozen=True, slots=True)
class MinMax:
    """``(x - low) / (high - low)``, clipped to 0…1 for what lies outside of the fit."""

    low: float
    high: float

    @classmethod
    def fit(cls, values: npt.ArrayLike) -> Self:
        """Learn the smallest and the largest value."""
        known = _known(values)
        return cls(float(known.min()), float(known.max())) if len(known) else cls(0.0, 0.0)

    def apply(self, values: npt.ArrayLike) -> Floats:
        """Return values between 0 and 1."""
        shifted = np.asarray(values, np.float64) - self.low
        return np.clip(_divide(shifted, self.high - self.low), 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Log1p:
    """``sign(x) ln(1 + |x|)``: for counts and money, where a factor matters, not a difference."""

    @classmethod
    def fit(cls, values: npt.ArrayLike) -> Self:
        """Learn nothing."""
        del values
        return cls()

    def apply(self, values: npt.ArrayLike) -> Floats:
        """Return logarithms; 0 stays 0 and the order stays."""
        plain = np.asarray(values, np.float64)
        return np.asarray(np.sign(plain) * np.log1p(np.abs(plain)))


@dataclass(frozen=True, eq=False)
class Rank:
    """Share of the fitted values below x, half of those equal to it counted (mean of ties).

    Attributes
    ----------
    ordered
        float64 (n,): the fitted values, rising.
    """

    ordered: Floats

    @classmethod
    def fit(cls, values: npt.ArrayLike) -> Self:
        """Keep the values in order."""
        return cls(np.sort(_known(values)))

    def apply(self, values: npt.ArrayLike) -> Floats:
        """Return ranks from 0 to 1."""
        plain = np.asarray(values, np.float64)
        below = np.searchsorted(self.ordered, plain, side="left")
        up_to = np.searchsorted(self.ordered, plain, side="right")
        share = (below + up_to) / (2 * max(len(self.ordered), 1))
        return np.where(np.isnan(plain), np.nan, share)


def _known(values: npt.ArrayLike) -> Floats:
    plain = np.asarray(values, np.float64).ravel()
    return np.asarray(plain[~np.isnan(plain)])


def _divide(values: Floats, by: float) -> Floats:
    return values / by if by > 0 else values * 0.0

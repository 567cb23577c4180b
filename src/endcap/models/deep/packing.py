"""Sequences end to end, without padding: those of equal length lie side by side.

Whatever works on single tokens (norms, projections, losses) sees one flat array of real tokens.
Attention alone looks across them, and a run of n sequences of length t is a plain (n, t, d) view.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class Run(NamedTuple):
    """Sequences of one length: tokens ``start : start + spans * length``."""

    start: int
    spans: int
    length: int


class Packed(NamedTuple):
    """Spans of events, short ones first.

    Attributes
    ----------
    order
        int64 (n,): which of the given spans lies where.
    tokens
        int64 (sum of lengths,): places in the array of events.
    positions
        int64, like `tokens`: the place within the sequence, 0 for its first.
    runs
        One for each distinct length.
    """

    order: Ints
    tokens: Ints
    positions: Ints
    runs: list[Run]

    @property
    def last(self) -> Ints:
        """int64 (n,): where in `tokens` each sequence ends."""
        return np.concatenate(
            [
                np.empty(0, np.int64),
                *(run.start + run.length * np.arange(1, run.spans + 1) - 1 for run in self.runs),
            ]
        )


def pack(starts: Ints, lengths: Ints) -> Packed:
    """Lay the non-empty spans ``starts[i] : starts[i] + lengths[i]`` end to end, by length."""
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    sizes = lengths[order]
    ends = np.cumsum(sizes)
    positions = np.arange(sizes.sum()) - np.repeat(ends - sizes, sizes)
    tokens = np.repeat(starts[order], sizes) + positions
    distinct, counts = np.unique(sizes, return_counts=True)
    begins = np.concatenate(([0], np.cumsum(distinct * counts)))
    runs = [Run(*map(int, row)) for row in zip(begins[:-1], counts, distinct, strict=True)]
    return Packed(order, tokens, positions, runs)


def tails(indptr: Ints, most: int) -> tuple[Ints, Ints]:
    """Return (starts, lengths) of the last `most` events of each history."""
    lengths = np.minimum(np.diff(indptr), most)
    return indptr[1:] - lengths, lengths


def lessons(indptr: Ints, most: int) -> tuple[Ints, Ints]:
    """Cut histories into spans from which the next event is foreseen at every step.

    Each span and the event behind it are consecutive events of one history; every event but the
    first of a history is foreseen exactly once. Spans are filled from the newest backwards.

    Returns
    -------
    starts, lengths
        int64, one entry for each span of 1 to `most` events.
    """
    pairs = np.maximum(np.diff(indptr) - 1, 0)
    pieces = -(-pairs // most)
    owner = np.repeat(np.arange(len(pairs)), pieces)
    back = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    stops = indptr[1:][owner] - 1 - back * most
    lengths = np.minimum(most, pairs[owner] - back * most)
    return stops - lengths, lengths


def batches(lengths: Ints, tokens: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Yield every span once, at random, in batches of about so many tokens."""
    order = rng.permutation(len(lengths))
    batch_of = (np.cumsum(lengths[order]) - 1) // tokens
    yield from np.split(order, np.flatnonzero(np.diff(batch_of)) + 1) if len(order) else ()

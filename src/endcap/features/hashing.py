"""The kernel of `features.text`: count hashed words and n-grams of many texts in one pass."""

from itertools import pairwise

import numba
import numpy as np
import numpy.typing as npt

# FNV-1a's offset and prime, and the constants of MurmurHash3's 64-bit finaliser.
_OFFSET = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_MIX_A = np.uint64(0xFF51AFD7ED558CCD)
_MIX_B = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)
_BORDER = np.uint64(0x20)
_BLOCK = 1 << 20  # signs counted before the rows are copied out of the roomy buffers

Codes = npt.NDArray[np.uint32]
Classes = npt.NDArray[np.uint8]
Counts = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]


def count_features(  # noqa: PLR0917
    codes: Codes,
    classes: Classes,
    starts: npt.NDArray[np.int64],
    bits: int,
    word_pairs: bool,
    ngrams: tuple[int, int, int],
) -> Counts:
    """Count the hashed features of texts.

    Parameters
    ----------
    codes, classes
        uint32 (c,) code points of all texts end to end, and uint8 (c,) their class: 0 between
        words, 1 alphabet, 2 written without spaces.
    starts
        int64 (n + 1,): text i owns ``starts[i]:starts[i + 1]``.
    bits
        ``2 ** bits`` columns; words fall in the lower half, n-grams in the upper.
    word_pairs
        Whether pairs of neighbouring words count too.
    ngrams
        Shortest and longest n-gram of alphabet words, longest n-gram of unspaced runs.

    Returns
    -------
    indptr, indices, counts
        CSR arrays, int64, int32 sorted within rows, and float32.
    """
    low, high, longest = ngrams
    # A sign starts at most `high` n-grams, or `longest` and two words; a word adds a border, itself
    # and a pair, so buffers of this size never overflow.
    per_sign = max(2 * high, longest) + 4
    buffer = np.empty((int(np.diff(starts).max(initial=0)) + 2) * per_sign, np.int32)
    seen = np.zeros(1 << bits, np.int32)
    indptr = np.zeros(len(starts), np.int64)
    parts_i: list[npt.NDArray[np.int32]] = []
    parts_c: list[npt.NDArray[np.float32]] = []
    cuts = np.searchsorted(starts, np.arange(0, len(codes), _BLOCK))
    for text, stop in pairwise(np.unique(np.append(cuts, len(starts) - 1)).tolist()):
        size = int(starts[stop] - starts[text]) + 2 * (stop - text)
        indices = np.empty(size * per_sign, np.int32)
        counts = np.empty(len(indices), np.float32)
        used = _count_block(
            codes, classes, starts[text : stop + 1], word_pairs, low, high, longest,
            buffer, seen, indptr[text : stop + 1], indices, counts,
        )  # fmt: skip
        parts_i.append(indices[:used].copy())
        parts_c.append(counts[:used].copy())
    return (
        np.cumsum(indptr),
        np.concatenate([*parts_i, np.empty(0, np.int32)]),
        np.concatenate([*parts_c, np.empty(0, np.float32)]),
    )


@numba.njit(cache=True, inline="always")
def _bucket(value, half, upper):  # type: ignore[no-untyped-def]
    """Finalise a hash and put it in its half of the columns."""
    value ^= value >> _SHIFT
    value *= _MIX_A
    value ^= value >> _SHIFT
    value *= _MIX_B
    value ^= value >> _SHIFT
    return np.int32(value & np.uint64(half - 1)) + (np.int32(half) if upper else np.int32(0))


@numba.njit(cache=True, inline="always")
def _step(value, code):  # type: ignore[no-untyped-def]
    return (value ^ np.uint64(code)) * _PRIME


@numba.njit(cache=True)
def _alphabet_run(codes, start, stop, low, high, half, out, used):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Write the n-grams of one word with a border on both sides; return how many are written."""
    for first in range(start - 1, stop):
        value = _OFFSET
        for place in range(first, min(first + high, stop + 1)):
            inside = start <= place < stop
            value = _step(value, codes[place] if inside else _BORDER)
            if place - first + 1 >= low:
                out[used] = _bucket(value, half, True)
                used += 1
    return used


@numba.njit(cache=True)
def _unspaced_run(codes, start, stop, longest, half, out, used):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Write the n-grams of a run without spaces; one and two signs stand for words too."""
    for first in range(start, stop):
        value = _OFFSET
        for place in range(first, min(first + longest, stop)):
            value = _step(value, codes[place])
            out[used] = _bucket(value, half, True)
            used += 1
            if place - first < 2:
                out[used] = _bucket(value, half, False)
                used += 1
    return used


@numba.njit(cache=True)
def _features(codes, classes, start, stop, pairs, low, high, longest, half, out):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Write the buckets of one text, repeats included; return how many there are."""
    used = 0
    before = np.uint64(0)
    place = start
    while place < stop:
        kind = classes[place]
        end = place + 1
        while end < stop and classes[end] == kind:
            end += 1
        if kind == 1:
            word = _OFFSET
            for at in range(place, end):
                word = _step(word, codes[at])
            out[used] = _bucket(word, half, False)
            used += 1
            if pairs and before != 0:
                out[used] = _bucket(_step(before, _BORDER) ^ word * _MIX_B, half, False)
                used += 1
            before = word
            used = _alphabet_run(codes, place, end, low, high, half, out, used)
        elif kind == 2:
            before = np.uint64(0)
            used = _unspaced_run(codes, place, end, longest, half, out, used)
        place = end
    return used


@numba.njit(cache=True)
def _count_block(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    codes, classes, starts, pairs, low, high, longest, buffer, seen, sizes, indices, counts
):
    """Fill CSR `indices` and `counts`; ``sizes[i + 1]`` becomes the row length of text i."""
    half = len(seen) // 2
    done = 0
    for text in range(len(starts) - 1):
        used = _features(
            codes, classes, starts[text], starts[text + 1], pairs, low, high, longest, half, buffer
        )
        first = done
        for at in range(used):
            column = buffer[at]
            if seen[column] == 0:
                indices[done] = column
                done += 1
            seen[column] += 1
        indices[first:done].sort()
        for at in range(first, done):
            counts[at] = seen[indices[at]]
            seen[indices[at]] = 0
        sizes[text + 1] = done - first
    return done

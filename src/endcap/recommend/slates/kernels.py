"""The inner loops: a greedy slate that looks ahead, and swaps that make it better.

The value of a slate i_1 … i_k, in [0, 1] but for the bonus:

    (1 - c) [(1 - d) sum_p w_p v(i_p) + d/k sum_p n(i_p)] + c (1 - KL(mix || slate) / log 100)
        + 1/k sum_p bonus(i_p)

v is relevance, w the share of attention of a position, d the diversity, c the calibration.
Relevance counts most at the top and variety everywhere alike, so variety goes to where it costs
least. n is what an item adds to the variety of those before it:

    pairs   2/(k-1) sum_q (1 - s(i_p, i_q)): the sum is the intra-list diversity (Ziegler 2005)
    mmr     1 - max_q s(i_p, i_q) (Carbonell and Goldstein 1998)
    dpp     1 + log r^2 / log 10^6, r the residual of i_p after all before it: the sum is the log
            determinant, the greedy choice that of Chen et al. 2018, eq. 15-17
    ssd     r after the last window - 1 items (Huang et al. 2021, eq. 8)
"""

from typing import Any, Final, NamedTuple

import numba
import numpy as np

PAIRS, MMR, DPP, SSD = 0, 1, 2, 3
FLOOR: Final = 1e-6
GAIN: Final = 1e-9
SMOOTH: Final = 0.01
WORST: Final = float(np.log(100.0))
"""The largest divergence there can be: a slate without any of the mix, smoothed (Steck 2018)."""


class Worth(NamedTuple):
    """What a slate is worth: see `problem.Problem`; compiled code takes tuples."""

    v: Any
    w: Any
    sim: Any
    d: float
    mode: int
    window: int
    cal: float
    mix: Any
    groups: Any
    bonus: Any


class Limits(NamedTuple):
    """What a slate must keep: one row for each bound, `width` groups at most, pins by position."""

    codes: Any
    lo: Any
    hi: Any
    first: Any
    width: int
    pin: Any


@numba.njit(cache=True, nogil=True)
def greedy(worth, limits):  # type: ignore[no-untyped-def]
    """Return int64 (k,): the best next candidate that leaves every lower bound within reach.

    -1 from the first position for which there is none.
    """
    v, w, d, mode = worth.v, worth.w, worth.d, worth.mode
    cal, mix, groups, bonus = worth.cal, worth.mix, worth.groups, worth.bonus
    pin = limits.pin
    n, k = len(v), len(w)
    order = np.full(k, -1, np.int64)
    used = np.zeros(n, np.bool_)
    counts = np.zeros((len(limits.lo), limits.width), np.int64)
    for p in range(k):
        if pin[p] >= 0:
            used[pin[p]] = True
            _count(counts, limits, pin[p], p)
    near = np.zeros(n)
    basis = np.zeros((n, k))
    rest = np.ones(n)
    shown = np.zeros(len(mix))
    divergence = WORST
    for p in range(k):
        best = pin[p]
        if best < 0:
            top = -np.inf
            for i in range(n):
                if used[i] or not _fits(i, p, counts, limits):
                    continue
                gain = (1 - d) * w[p] * v[i] + d * _novelty(near[i], rest[i], p, k, mode) / k
                gain = (1 - cal) * gain + bonus[i] / k
                if cal > 0:
                    gain += cal * (divergence - _divergence(mix, shown, groups[i], p)) / WORST
                if gain > top:
                    top, best = gain, i
            if best < 0:
                return order
            used[best] = True
            _count(counts, limits, best, p)
        order[p] = best
        if d > 0:
            _follow(order, p, worth, near, basis, rest)
        if cal > 0:
            divergence = _divergence(mix, shown, groups[best], p)
            shown += groups[best]
    return order


@numba.njit(cache=True, nogil=True)
def improve(order, worth, limits, pool, rounds):  # type: ignore[no-untyped-def]
    """Swap two positions, or a position and a candidate of `pool`, while that adds value."""
    k = len(order)
    every = np.concatenate((order, pool))
    basis, counts = np.zeros((k, k)), np.zeros(limits.width, np.int64)
    best = _valued(every[:k], worth, basis)
    plain = worth.cal == 0 and (worth.d == 0 or worth.mode == PAIRS)
    for _ in range(rounds):
        before = best
        for p in range(k):
            for q in range(p + 1, len(every)):
                if limits.pin[p] >= 0 or (q < k and limits.pin[q] >= 0):
                    continue
                if plain and _won(every, p, q, k, worth) <= GAIN:
                    continue
                every[p], every[q] = every[q], every[p]
                now = -np.inf
                if _holds(every[:k], limits, counts):
                    now = _valued(every[:k], worth, basis)
                if now > best + GAIN:
                    best = now
                else:
                    every[p], every[q] = every[q], every[p]
        if best <= before:
            break
    return every[:k].copy()


@numba.njit(cache=True, nogil=True)
def _won(every, p, q, k, worth):  # type: ignore[no-untyped-def]
    """What swapping two places wins where variety is a sum over pairs and nothing is balanced."""
    v, w, d = worth.v, worth.w, worth.d
    leaves, enters = every[p], every[q]
    more = (w[p] - (w[q] if q < k else 0.0)) * (v[enters] - v[leaves])
    if q < k:
        return (1 - d) * more
    extra = worth.bonus[enters] - worth.bonus[leaves]
    near = 0.0
    if d > 0:
        for a in range(k):
            if a != p:
                near += worth.sim[leaves, every[a]] - worth.sim[enters, every[a]]
    return (1 - d) * more + d / k * 2 / max(k - 1, 1) * near + extra / k


@numba.njit(cache=True, nogil=True)
def value(order, worth):  # type: ignore[no-untyped-def]
    """Return the value of a whole slate."""
    return _valued(order, worth, np.zeros((len(order), len(order))))


@numba.njit(cache=True, nogil=True)
def _valued(order, worth, basis):  # type: ignore[no-untyped-def]
    """See `value`; `basis` is room for a Cholesky factor, (k, k)."""
    v, w, d, bonus = worth.v, worth.w, worth.d, worth.bonus
    cal, mix, groups = worth.cal, worth.mix, worth.groups
    k = len(order)
    relevance, variety, extra = 0.0, 0.0, 0.0
    for p in range(k):
        relevance += w[p] * v[order[p]]
        extra += bonus[order[p]]
        if d > 0:
            variety += _added(order, p, worth, basis)
    total = (1 - cal) * ((1 - d) * relevance + d * variety / k) + extra / k
    if cal > 0:
        shown = np.zeros(len(mix))
        for p in range(k - 1):
            shown += groups[order[p]]
        total += cal * (1 - _divergence(mix, shown, groups[order[k - 1]], k - 1) / WORST)
    return total


@numba.njit(cache=True, nogil=True)
def _added(order, p, worth, basis):  # type: ignore[no-untyped-def]
    """What position p adds to the variety of those before it; `basis` is a Cholesky factor."""
    sim, mode, k = worth.sim, worth.mode, len(order)
    if mode < DPP:
        near = 0.0
        for q in range(p):
            s = sim[order[p], order[q]]
            near = near + s if mode == PAIRS else max(near, s)
        return _novelty(near, 0.0, p, k, mode)
    start = max(0, p - worth.window + 1) if mode == SSD else 0
    rest = 1.0
    for a in range(p if mode == DPP else start, p + 1):
        rest = 1.0
        for b in range(start, a):
            dot = float(sim[order[a], order[b]])
            for c in range(start, b):
                dot -= basis[a, c] * basis[b, c]
            basis[a, b] = dot / basis[b, b]
            rest -= basis[a, b] ** 2
        basis[a, a] = np.sqrt(max(rest, FLOOR))
    return _novelty(0.0, rest, p, k, mode)


@numba.njit(cache=True, nogil=True, inline="always")
def _novelty(near, rest, p, k, mode):  # type: ignore[no-untyped-def]
    if mode == PAIRS:
        return 2 * (p - near) / max(k - 1, 1)
    if mode == MMR:
        return 1 - near
    left = max(rest, FLOOR)
    return 1 - np.log(left) / np.log(FLOOR) if mode == DPP else np.sqrt(left)


@numba.njit(cache=True, nogil=True)
def _follow(order, p, worth, near, basis, rest):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Bring what is known of every candidate up to date after position p was filled."""
    sim, mode = worth.sim, worth.mode
    n, chosen = len(near), order[p]
    if mode == PAIRS:
        for i in range(n):
            near[i] += sim[chosen, i]
    elif mode == MMR:
        for i in range(n):
            near[i] = max(near[i], sim[chosen, i])
    elif mode == DPP:
        _project(chosen, p, sim, basis, rest)
    else:
        rest[:] = 1.0
        for at, q in enumerate(range(max(0, p - worth.window + 2), p + 1)):
            _project(order[q], at, sim, basis, rest)


@numba.njit(cache=True, nogil=True)
def _project(chosen, at, sim, basis, rest):  # type: ignore[no-untyped-def]
    """Take the direction of an item out of all others: one column of a Cholesky factor."""
    root = np.sqrt(max(rest[chosen], FLOOR))
    own = basis[chosen, :at].copy()
    for i in range(len(rest)):
        dot = float(sim[chosen, i])
        for c in range(at):
            dot -= basis[i, c] * own[c]
        basis[i, at] = dot / root
        rest[i] -= basis[i, at] ** 2


@numba.njit(cache=True, nogil=True)
def _divergence(mix, shown, added, p):  # type: ignore[no-untyped-def]
    """KL(mix || smoothed mix of p items and one more), at most `WORST`."""
    total = 0.0
    for g in range(len(mix)):
        if mix[g] > 0:
            share = (shown[g] + added[g]) / (p + 1)
            total += mix[g] * np.log(mix[g] / ((1 - SMOOTH) * share + SMOOTH * mix[g]))
    return total


@numba.njit(cache=True, nogil=True)
def _count(counts, limits, i, p):  # type: ignore[no-untyped-def]
    for r in range(len(limits.first)):
        if p < limits.first[r] and limits.codes[r, i] >= 0:
            counts[r, limits.codes[r, i]] += 1


@numba.njit(cache=True, nogil=True)
def _fits(i, p, counts, limits):  # type: ignore[no-untyped-def]
    """Whether candidate i in position p breaks no upper and dooms no lower bound."""
    codes, lo, first, pin = limits.codes, limits.lo, limits.first, limits.pin
    for r in range(len(first)):
        if p >= first[r]:
            continue
        code = codes[r, i]
        if code >= 0 and counts[r, code] >= limits.hi[r]:
            return False
        need = lo[r] - counts[r, 0] - (code == 0)
        if need > 0:
            for q in range(p + 1, min(first[r], len(pin))):
                need -= pin[q] < 0
            if need > 0:
                return False
    return True


@numba.njit(cache=True, nogil=True)
def _holds(order, limits, counts):  # type: ignore[no-untyped-def]
    """Whether a slate keeps every bound; `counts` is room for the groups of one."""
    for r in range(len(limits.first)):
        counts[:] = 0
        for p in range(min(limits.first[r], len(order))):
            code = limits.codes[r, order[p]]
            if code >= 0:
                counts[code] += 1
                if counts[code] > limits.hi[r]:
                    return False
        if counts[0] < limits.lo[r]:
            return False
    return True

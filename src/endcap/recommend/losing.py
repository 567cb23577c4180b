"""The arithmetic of reasons: some items, the past items that speak for them, and what each adds."""

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Shares = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]


def add_shares(split: Floats, shares: Shares, groups: Places, scale: float) -> None:
    """Add to float64 (n, owners) what events, float32 (n, h), add to scores; NaN adds nothing."""
    _add_shares(split, shares, groups, scale)


def ask_about(split: Floats, tried: int, besides: Places) -> tuple[Places, Floats, Floats]:
    """Return which owners are to be left out, in turn, to see what is lost.

    Parameters
    ----------
    split
        float64 (n, owners): what each adds to each row, by the models' own word.
    tried
        So many for each row: those that add most, ties by place.
    besides
        Owners asked about in any case.

    Returns
    -------
    tuple
        Those owners, rising; float64 (n,): what the others add; float64 (n, owners): 0 where an
        owner is asked about, NaN elsewhere.
    """
    found: tuple[Places, Floats, Floats] = _ask_about(split, tried, besides)
    return found


def deduct(loss: Floats, part: Shares, left: Shares, scale: float, asked: Places) -> None:
    """Add to float64 (n, owners) what is gone of each part without each owner that was asked.

    Parameters
    ----------
    part, left
        float32 (n,): a model's part of each score; float32 (asked, n): its own scores without.
    """
    _deduct(loss, part, left, scale, asked)


def weightiest(
    loss: Floats, besides: Floats, score: Floats, top: int
) -> tuple[Floats, Places, Floats]:
    """Return all that speaks for each row, and the owners whose loss counts most.

    Parameters
    ----------
    loss
        float64 (n, owners), NaN where nobody asked.
    besides, score
        float64 (n,): what else speaks for it; its score, of which all is at least.

    Returns
    -------
    tuple
        float64 (n,); int64 (n, top), falling, ties by place, -1 where nothing is lost; their
        losses, float64 (n, top).
    """
    found: tuple[Floats, Places, Floats] = _weightiest(loss, besides, score, top)
    return found


@numba.njit(cache=True, nogil=True)
def _ask_about(split, tried, besides):  # type: ignore[no-untyped-def]
    n, owners = split.shape
    wanted = np.zeros(owners, np.bool_)
    for a in besides:
        wanted[a] = True
    most = min(tried, owners)
    best = np.zeros(most, np.int64)
    for r in range(n):
        size = 0
        for a in range(owners):
            at = size
            while at > 0 and split[r, a] > split[r, best[at - 1]]:
                if at < most:
                    best[at] = best[at - 1]
                at -= 1
            if at < most:
                best[at] = a
                size = min(size + 1, most)
        for at in range(size):
            wanted[best[at]] = True
    rest, loss = np.zeros(n), np.full((n, owners), np.nan)
    for r in range(n):
        for a in range(owners):
            if wanted[a]:
                loss[r, a] = 0.0
            elif split[r, a] > 0:
                rest[r] += split[r, a]
    return np.flatnonzero(wanted), rest, loss


@numba.njit(cache=True, nogil=True)
def _weightiest(loss, besides, score, top):  # type: ignore[no-untyped-def]
    n, owners = loss.shape
    total = np.zeros(n)
    best, losses = np.full((n, top), -1, np.int64), np.zeros((n, top))
    for r in range(n):
        for a in range(owners):
            mine = loss[r, a]
            if not mine > 0:  # or NaN
                continue
            total[r] += mine
            at = top
            while at > 0 and mine > losses[r, at - 1]:
                at -= 1
                if at + 1 < top:
                    best[r, at + 1], losses[r, at + 1] = best[r, at], losses[r, at]
            if at < top:
                best[r, at], losses[r, at] = a, mine
        total[r] = max(besides[r] + total[r], score[r])
    return total, best, losses


@numba.njit(cache=True, nogil=True)
def _add_shares(split, shares, groups, scale):  # type: ignore[no-untyped-def]
    for r in range(shares.shape[0]):
        for e in range(shares.shape[1]):
            if not np.isnan(shares[r, e]):
                split[r, groups[e]] += scale * np.float64(shares[r, e])


@numba.njit(cache=True, nogil=True)
def _deduct(loss, part, left, scale, asked):  # type: ignore[no-untyped-def]
    for r in range(len(part)):
        for a in range(len(asked)):
            score = np.float64(left[a, r])
            gone = np.float64(part[r]) - (0.0 if np.isnan(score) else scale * score)
            loss[r, asked[a]] += gone

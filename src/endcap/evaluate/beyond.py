"""What accuracy does not see: reach, surprise, variety, fairness of exposure, balance.

Measures of one list are float64 (n,) with NaN where a list has nothing to measure.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.evaluate.metrics import PerUser
from endcap.models.candidates import Candidates

HEAD_SHARE: Final = 0.2
SMOOTHING: Final = 0.01


def membership(lists: Candidates, n_items: int) -> sparse.csr_array:
    """Return float64 CSR (n, n_items) with 1 for each item of each list."""
    ones = np.ones(len(lists.items))
    return sparse.csr_array((ones, lists.items, lists.indptr), shape=(len(lists), n_items))


def coverage(exposure: npt.NDArray[np.float64]) -> PerUser:
    """Share of the items shown at least once.

    Parameters
    ----------
    exposure
        float64 (…, n_items): how often each item was shown.
    """
    return np.asarray((exposure > 0).mean(axis=-1))


def gini(exposure: npt.NDArray[np.float64]) -> PerUser:
    """Inequality of exposure over all items: 0 is equal, 1 is one item for everybody."""
    ordered = np.sort(exposure, axis=-1)
    n = ordered.shape[-1]
    total = ordered.sum(axis=-1)
    ranked = ordered @ np.arange(1, n + 1)
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * ranked / (n * total) - (n + 1) / n)


def novelty(shown: sparse.csr_array, buyers: npt.NDArray[np.int64], n_users: int) -> PerUser:
    """Mean self-information of a list's items, in bits: -log2 p (Zhou et al. 2010).

    p is the share of training users who have the item, (buyers + 1) / (n_users + 1), so that an
    item nobody has yet stays finite.
    """
    bits = -np.log2((buyers + 1) / (n_users + 1))
    return _mean(shown @ bits, shown)


def popular_share(shown: sparse.csr_array, buyers: npt.NDArray[np.int64]) -> PerUser:
    """Share of a list taken by the head: the 20 % most popular of the items anybody has."""
    sold = int((buyers > 0).sum())
    head = np.zeros(len(buyers))
    head[np.argsort(-buyers, kind="stable")[: int(np.ceil(HEAD_SHARE * sold))]] = 1.0
    return _mean(shown @ head, shown)


def diversity(shown: sparse.csr_array, vectors: sparse.csr_array) -> PerUser:
    """Mean of 1 - cosine over all pairs of a list (Ziegler et al. 2005); NaN below two items.

    Parameters
    ----------
    vectors
        CSR (n_items, d) of unit length; an item without attributes is like no other.
    """
    length = np.diff(shown.indptr).astype(np.float64)
    total = shown @ vectors
    squares = np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()
    alike = np.asarray(total.multiply(total).sum(axis=1)).ravel() - shown @ squares
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(length > 1, 1 - alike / (length * (length - 1)), np.nan)


def miscalibration(
    history: sparse.csr_array, shown: sparse.csr_array, groups: sparse.csr_array
) -> PerUser:
    """Kullback-Leibler divergence of a list's groups from the history's, in nats (Steck 2018).

    0 is a list with the very mix of categories (or prices) of the user's past. The list's mix q
    is smoothed as 0.99 q + 0.01 p. NaN where history or list say nothing of groups.
    """
    past, now = _mix(history @ groups), _mix(shown @ groups)
    smooth = (1 - SMOOTHING) * now + SMOOTHING * past
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = np.where(past > 0, past * np.log(past / smooth), 0.0)
    known = np.isfinite(past[:, 0]) & np.isfinite(now[:, 0])
    return np.where(known, terms.sum(axis=1), np.nan)


def _mix(weights: sparse.csr_array) -> npt.NDArray[np.float64]:
    dense = np.asarray(weights.toarray(), np.float64)
    total = dense.sum(axis=1, keepdims=True)
    return _divide(dense, np.broadcast_to(total, dense.shape))


def _mean(sums: npt.NDArray[np.float64], shown: sparse.csr_array) -> PerUser:
    return _divide(sums, np.diff(shown.indptr).astype(np.float64))


def _divide(above: npt.NDArray[np.float64], below: npt.NDArray[np.float64]) -> PerUser:
    """Divide, NaN where there is nothing to divide by."""
    out = np.full(above.shape, np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out

"""Histories cut at every point: what had happened, and what came next."""

import numba
import numpy as np
from scipy import sparse

from endcap.prepare.dataset import Dataset

FAINT = 1e-3
"""Events whose weight falls below this are left out of a window."""


def windows(
    data: Dataset, past_decay: float, future_decay: float
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Return (past, future): one row for each cut between two consecutive events of a user.

    Parameters
    ----------
    past_decay, future_decay
        An event counts 1/e after this many events before (after) the cut.

    Returns
    -------
    Two CSR float32 arrays (n_cuts, n_items); within a row an item's weights are summed.
    """
    seq = data.sequences()
    spans = [max(1, int(np.ceil(-decay * np.log(FAINT)))) for decay in (past_decay, future_decay)]
    n_cuts = int(np.maximum(np.diff(seq.indptr) - 1, 0).sum())
    out = []
    for decay, span, ahead in ((past_decay, spans[0], False), (future_decay, spans[1], True)):
        curve = np.exp(-np.arange(span) / decay).astype(np.float32)
        indptr, items, values = _cut(seq.indptr, seq.items, n_cuts, curve, ahead)
        rows = sparse.csr_array((values, items, indptr), shape=(n_cuts, len(data.items)))
        rows.sum_duplicates()
        out.append(rows)
    return out[0], out[1]


@numba.njit(cache=True, nogil=True)
def _cut(indptr, items, n_cuts, curve, ahead):  # type: ignore[no-untyped-def]
    """Write one row for each cut: the events on one side of it, nearest first."""
    span = len(curve)
    lengths = np.zeros(n_cuts + 1, np.int64)
    cut = 0
    for user in range(len(indptr) - 1):
        n = indptr[user + 1] - indptr[user]
        for c in range(1, n):
            lengths[cut + 1] = min(span, n - c if ahead else c)
            cut += 1
    out = np.cumsum(lengths)
    columns = np.empty(out[-1], np.int32)
    values = np.empty(out[-1], np.float32)
    cut = 0
    for user in range(len(indptr) - 1):
        start, end = indptr[user], indptr[user + 1]
        for c in range(start + 1, end):
            for j in range(lengths[cut + 1]):
                columns[out[cut] + j] = items[c + j] if ahead else items[c - 1 - j]
                values[out[cut] + j] = curve[j]
            cut += 1
    return out, columns, values

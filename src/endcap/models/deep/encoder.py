"""The network of `network`, for answering: the same sums in NumPy."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.models.deep.inputs import Events
from endcap.models.deep.packing import Run, pack, tails

Array = npt.NDArray[np.float32]
EPSILON = np.float32(1e-5)
"""In the norms, as in PyTorch."""
AT_ONCE = 4_096
"""Histories encoded at once; bounds the memory."""


class Weights(NamedTuple):
    """What was learnt, but for the items; the first axis of those of blocks is the block.

    Attributes
    ----------
    position, gap, kind
        float32 (most, d), (classes, d) and (kinds + 1, d); the last two may be empty.
    norm_attention, norm_feed, norm
        float32 (blocks, 2, d) twice and (2, d): scale and shift.
    qkv, qkv_shift, out, out_shift
        float32 (blocks, d, 3d), (blocks, 3d), (blocks, d, d), (blocks, d).
    up, up_shift, down, down_shift
        float32 (blocks, d, 4d), (blocks, 4d), (blocks, 4d, d), (blocks, d).
    nearness
        float32 (blocks, heads, most): added to the attention at each distance.
    """

    position: Array
    gap: Array
    kind: Array
    norm_attention: Array
    qkv: Array
    qkv_shift: Array
    out: Array
    out_shift: Array
    nearness: Array
    norm_feed: Array
    up: Array
    up_shift: Array
    down: Array
    down_shift: Array
    norm: Array


def encode(weights: Weights, items: Array, history: Events) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return the state after the last event of each history, and whether there is one.

    Parameters
    ----------
    items
        float32 (n_items, d): the vectors of items as inputs.
    history
        n histories, of which the last events are read, as many as there are positions.

    Returns
    -------
    float32 (n, d), 0 for an empty history, and bool (n,).
    """
    starts, lengths = tails(history.indptr, len(weights.position))
    out = np.zeros((len(lengths), items.shape[1]), np.float32)
    for begin in range(0, len(lengths), AT_ONCE):
        span = slice(begin, begin + AT_ONCE)
        packed = pack(starts[span], lengths[span])
        tokens = items[history.items[packed.tokens]] + weights.position[packed.positions]
        if len(weights.gap):
            tokens += weights.gap[history.gaps[packed.tokens]]
        if len(weights.kind):
            tokens += weights.kind[history.kinds[packed.tokens]]
        runs = packed.runs
        for block in range(len(weights.qkv)):
            tokens = _block(weights, block, tokens, runs, only_last=block + 1 == len(weights.qkv))
        out[begin + packed.order] = norm(tokens, weights.norm)
    return out, lengths > 0


def _block(
    weights: Weights, block: int, tokens: Array, runs: list[Run], *, only_last: bool
) -> Array:
    """One block; of the last one only each sequence's last token is needed."""
    qkv = norm(tokens, weights.norm_attention[block]) @ weights.qkv[block]
    qkv += weights.qkv_shift[block]
    mixed, kept = [], []
    for start, spans, length in runs:
        span = slice(start, start + spans * length)
        mine = qkv[span].reshape(spans, length, -1)
        mixed.append(_attend(mine, weights.nearness[block], asking=1 if only_last else length))
        kept.append(tokens[span].reshape(spans, length, -1)[:, -1] if only_last else tokens[span])
    if not runs:
        return tokens
    tokens = np.concatenate(kept) + np.concatenate(mixed) @ weights.out[block]
    tokens += weights.out_shift[block]
    feed = norm(tokens, weights.norm_feed[block]) @ weights.up[block] + weights.up_shift[block]
    feed /= 1 + np.exp(-feed)
    return np.asarray(tokens + feed @ weights.down[block] + weights.down_shift[block])


def _attend(qkv: Array, nearness: Array, *, asking: int) -> Array:
    """Attention of the last `asking` of t tokens: (n, t, 3d) to (n asking, d)."""
    n, t, _ = qkv.shape
    q, k, v = qkv.reshape(n, t, 3, len(nearness), -1).transpose(2, 0, 3, 1, 4)
    place = np.arange(t)
    distance = place[t - asking :, None] - place
    bias = np.where(distance < 0, np.float32(-np.inf), nearness[:, np.maximum(distance, 0)])
    scores = q[:, :, t - asking :] @ k.swapaxes(2, 3) / np.sqrt(np.float32(q.shape[-1])) + bias
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return np.asarray((shares @ v).swapaxes(1, 2).reshape(n * asking, -1), np.float32)


def norm(tokens: Array, scale_shift: Array) -> Array:
    """Return each row centred, at unit spread, scaled and shifted: ``LayerNorm``."""
    centred = tokens - tokens.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.mean(centred * centred, axis=1, keepdims=True) + EPSILON)
    return np.asarray(centred / spread * scale_shift[0] + scale_shift[1])

"""Cross entropy of a linear layer, without ever holding all the scores. Needs PyTorch."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from endcap.models.parallel import over_blocks

BLOCK_BYTES = 16 << 20
"""Scores held at once, for each thread."""


class Rivals(NamedTuple):
    """The items against which a target is told apart.

    Attributes
    ----------
    rows
        int64 (m,): distinct items.
    offsets
        float32 (m,): added to their scores: what corrects for how they were drawn.
    place
        int64 (n_items,): where an item lies in `rows`, -1 where it does not.
    """

    rows: Tensor
    offsets: Tensor
    place: Tensor


def everybody(n_items: int) -> Rivals:
    """Return all items: an exact softmax."""
    rows = torch.arange(n_items)
    return Rivals(rows, torch.zeros(n_items), rows)


def drawn(share: Tensor, count: int) -> Rivals:
    """Draw rivals, shared by a whole batch, and correct for how likely each was.

    An item drawn c times among K draws of probability q enters the sum of the softmax with
    ``c / (K q)``, so that the sum is right on average (log-Q correction: Bengio and Senecal 2008;
    Yi et al. 2019, eq. 3).

    Parameters
    ----------
    share
        float32 (n_items,): probabilities q.
    count
        Draws K, with replacement.
    """
    found = torch.multinomial(share, count, replacement=True)
    rows, times = torch.unique(found, return_counts=True)
    place = torch.full((len(share),), -1)
    place[rows] = torch.arange(len(rows))
    return Rivals(rows, torch.log(times / (count * share[rows])), place)


def cross_entropy(
    states: Tensor, right: Tensor, rivals: Tensor, offsets: Tensor, hits: Tensor
) -> Tensor:
    """Return the mean of ``log(exp(s_right) + sum_j exp(s_j + offset_j)) - s_right``.

    Parameters
    ----------
    states
        float32 (n, d): what a sequence has come to.
    right
        float32 (n, d): vectors of the items that came next, ``s_right = states . right``.
    rivals, offsets
        float32 (m, d) and (m,): vectors of other items, ``s_j = states . rivals_j``.
    hits
        int64 (n,): the place of the right item among the rivals, -1 where it is not one; it is
        left out of the sum there.
    """
    loss: Tensor = _CrossEntropy.apply(states, right, rivals, offsets, hits)  # type: ignore[no-untyped-call]
    return loss


class _CrossEntropy(torch.autograd.Function):
    """Scores, softmax and gradients of a block of rows in one go; blocks on every core.

    The blocks and the order in which they are summed do not depend on the number of cores.
    """

    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any, states: Tensor, right: Tensor, rivals: Tensor, offsets: Tensor, hits: Tensor
    ) -> Tensor:
        n, size = len(states), max(32, BLOCK_BYTES // (4 * max(1, len(rivals))))
        d_states, d_right = torch.empty_like(states), torch.empty_like(states)

        def work(start: int, stop: int) -> tuple[float, Tensor]:
            with torch.no_grad():
                span = slice(start, stop)
                mine, target = states[span], right[span]
                s_right = (mine * target).sum(1)
                scores = torch.addmm(offsets, mine, rivals.T)
                hit = torch.nonzero(hits[span] >= 0)[:, 0]
                scores[hit, hits[span][hit]] = -torch.inf
                top = torch.maximum(scores.amax(1), s_right)
                shares = scores.sub_(top[:, None]).exp_()
                own = (s_right - top).exp()
                total = shares.sum(1) + own
                shares.div_((n * total)[:, None])
                missing = (own / total - 1) / n
                d_states[span] = torch.addmm(missing[:, None] * target, shares, rivals)
                d_right[span] = missing[:, None] * mine
                return float((total.log() + top - s_right).sum()), shares.T @ mine

        parts = over_blocks(n, size, work)
        d_rivals = torch.stack([part for _, part in parts]).sum(0)
        ctx.save_for_backward(d_states, d_right, d_rivals)
        return states.new_tensor(sum(loss for loss, _ in parts) / n)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        d_states, d_right, d_rivals = ctx.saved_tensors
        (scale,) = gradients
        return scale * d_states, scale * d_right, scale * d_rivals, None, None

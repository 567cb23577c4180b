"""The network while it learns; `encoder` answers with the same sums in NumPy. Needs PyTorch."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from endcap.models.deep.packing import Run


class ItemTable(nn.Module):
    """One vector for each item: its own, and what its text and labels say.

    Parameters
    ----------
    n_items, width
        Size of the table.
    text
        float32 (n_items, t); t may be 0.
    labels
        int64 (n_items, w): up to w labels of an item, 0 for none.
    n_labels
        One more than the largest label.
    forget
        Share of items whose own vector is hidden in a step, so that the rest learns to stand alone.
    """

    text: Tensor
    labels: Tensor

    def __init__(
        self, width: int, text: Tensor, labels: Tensor, n_labels: int, forget: float
    ) -> None:
        super().__init__()
        self.forget = forget
        self.register_buffer("text", text, persistent=False)
        self.register_buffer("labels", labels, persistent=False)
        self.own = nn.Parameter(torch.randn(len(text), width) / math.sqrt(width))
        self.read = nn.Parameter(torch.randn(text.shape[1], width) / math.sqrt(width))
        self.label = nn.Parameter(0.3 * torch.randn(n_labels, width) / math.sqrt(width))

    def forward(self, rows: Tensor | None = None) -> Tensor:
        """Return float32 (len(rows), width); all items where `rows` is None."""
        picked = slice(None) if rows is None else rows
        own, text, labels = self.own[picked], self.text[picked], self.labels[picked]
        if self.training and self.forget:
            own = own * (torch.rand(len(own), 1) >= self.forget)
        return own + self.content(text, labels)

    def content(self, text: Tensor, labels: Tensor) -> Tensor:
        """Return what is known of items without their own vectors, float32 (n, width)."""
        return text @ self.read + functional.embedding_bag(
            labels, self.label, mode="sum", padding_idx=0
        )


class Block(nn.Module):
    """Causal self-attention and a layer on each token, norms first.

    Attention has a learnt bias for each head and distance, so that recency needs no positions.
    """

    def __init__(self, width: int, heads: int, most: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.nearness = nn.Parameter(torch.zeros(heads, most))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, runs: list[Run]) -> Tensor:
        """Return float32 (n_tokens, width)."""
        qkv = self.qkv(self.norm_attention(tokens))
        mixed = [
            self._attend(qkv[start : start + spans * length].view(spans, length, -1))
            for start, spans, length in runs
        ]
        tokens = tokens + self.dropout(self.out(torch.cat(mixed)))
        feed = self.down(self.dropout(functional.silu(self.up(self.norm_feed(tokens)))))
        out: Tensor = tokens + self.dropout(feed)
        return out

    def _attend(self, qkv: Tensor) -> Tensor:
        """Attention within n sequences of t tokens: (n, t, 3 width) to (n t, width)."""
        n, t, _ = qkv.shape
        q, k, v = qkv.view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        place = torch.arange(t)
        distance = place[:, None] - place
        bias = self.nearness[:, distance.clamp(min=0)].masked_fill(distance < 0, -torch.inf)
        shares = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]) + bias, -1)
        mixed: Tensor = self.dropout(shares) @ v
        return mixed.transpose(1, 2).reshape(n * t, -1)


class Network(nn.Module):
    """From packed events to the state after each of them."""

    def __init__(
        self,
        inputs: ItemTable,
        outputs: ItemTable,
        *,
        layers: int,
        heads: int,
        most: int,
        dropout: float,
        gaps: int,
        kinds: int,
    ) -> None:
        super().__init__()
        width = inputs.own.shape[1]
        self.inputs, self.outputs = inputs, outputs
        self.position = nn.Parameter(torch.zeros(most, width))
        self.gap = nn.Parameter(torch.zeros(gaps, width))
        self.kind = nn.Parameter(torch.zeros(kinds, width))
        self.blocks = nn.ModuleList(Block(width, heads, most, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, items: Tensor, positions: Tensor, gaps: Tensor, kinds: Tensor, runs: list[Run]
    ) -> Tensor:
        """Return float32 (n_tokens, width).

        Parameters
        ----------
        items
            float32 (n_tokens, width): a vector for each event, from `inputs`.
        positions, gaps, kinds
            int64 (n_tokens,): place within the sequence, and classes as in `inputs.events`.
        runs
            Where sequences lie, as in `packing.Packed`.
        """
        tokens = items + self.position[positions]
        if len(self.gap):
            tokens = tokens + self.gap[gaps]
        if len(self.kind):
            tokens = tokens + self.kind[kinds]
        tokens = self.dropout(tokens)
        for block in self.blocks:
            tokens = block(tokens, runs)
        states: Tensor = self.norm(tokens)
        return states

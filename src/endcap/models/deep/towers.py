"""The two towers while they learn; `pooling` answers with the same sums in NumPy. Needs PyTorch."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from endcap.models.deep.network import ItemTable
from endcap.models.deep.packing import Run
from endcap.models.deep.pooling import RATES, Array, Tower
from endcap.models.deep.settings import DeepSpec
from endcap.models.deep.training import Course, item_tables


class Towers(nn.Module):
    """A shopper: means of the items so far that fade at several rates, and a layer on them."""

    def __init__(self, inputs: ItemTable, outputs: ItemTable, dropout: float) -> None:
        super().__init__()
        width = inputs.own.shape[1]
        self.inputs, self.outputs = inputs, outputs
        self.fading = nn.Parameter(torch.tensor(RATES).log())
        self.shares = nn.Parameter(torch.full((len(RATES), width), 1 / len(RATES)))
        self.norm = nn.LayerNorm(len(RATES) * width)
        self.up, self.down = nn.Linear(len(RATES) * width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, items: Tensor, positions: Tensor, gaps: Tensor, kinds: Tensor, runs: list[Run]
    ) -> Tensor:
        """Return float32 (n_tokens, width): the shopper after each event; see `Network`."""
        pooled = torch.cat([self._pool(items[s : s + n * t].view(n, t, -1)) for s, n, t in runs])
        plain = (pooled.view(len(pooled), *self.shares.shape) * self.shares).sum(1)
        bent = self.down(self.dropout(functional.silu(self.up(self.norm(pooled)))))
        out: Tensor = self.dropout(plain) + bent
        return out

    def _pool(self, items: Tensor) -> Tensor:
        """(n, t, d) to (n t, rates d): faded means of each event and those before it."""
        n, t, _ = items.shape
        place = torch.arange(t)
        age = (place[:, None] - place).float()
        faded = -self.fading.exp()[:, None, None] * age
        weights = torch.softmax(faded.masked_fill(age < 0, -torch.inf), -1)
        return torch.einsum("kab,nbd->nakd", weights, items).reshape(n * t, -1)


def build(spec: DeepSpec, course: Course) -> Towers:
    """Return towers with random weights."""
    return Towers(*item_tables(spec, course.facts), spec.dropout)


def tower(network: nn.Module) -> Tower:
    """Return what was learnt, but for the items, as arrays for `pooling.pool`."""

    def plain(name: str) -> Array:
        return np.array(network.get_parameter(name).detach().numpy())

    return Tower(
        np.exp(plain("fading")),
        plain("shares"),
        np.stack([plain("norm.weight"), plain("norm.bias")]),
        np.ascontiguousarray(plain("up.weight").T),
        plain("up.bias"),
        np.ascontiguousarray(plain("down.weight").T),
        plain("down.bias"),
    )

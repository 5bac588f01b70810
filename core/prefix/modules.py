"""The trainable modules of a prefix: the keys and values themselves, or an MLP that computes them and is dropped after
training."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from core.backbone_spec import BackboneSpec
from core.prefix.prefix import KeyValues


class DirectPrefix(nn.Module):
    """Trains the keys and values directly."""

    def __init__(self, start: KeyValues) -> None:
        super().__init__()
        self.past = nn.ParameterDict({site: nn.Parameter(kv.clone().float()) for site, kv in start.items()})

    def forward(self) -> KeyValues:
        """Return site -> (layers, 2, kv_heads, P, head_dim)."""
        return dict(self.past.items())


class PrefixMLP(nn.Module):
    """The reparametrisation of paper §4.3: an MLP maps P'[i], which has the model's width, to all keys and values.

    Each site has its own embedding and MLP, in the official code's form: Embedding, Linear, tanh, Linear.
    """

    def __init__(self, spec: BackboneSpec, length: int, hidden: int) -> None:
        super().__init__()
        self.shapes = {site: (spec.depth(site), 2, spec.kv_heads, spec.head_dim) for site in spec.sites}
        self.inputs = nn.ModuleDict({site: nn.Embedding(length, spec.width) for site in spec.sites})
        outs = {site: math.prod(shape) for site, shape in self.shapes.items()}
        self.mlps = nn.ModuleDict(
            {site: nn.Sequential(nn.Linear(spec.width, hidden), nn.Tanh(), nn.Linear(hidden, out)) for site, out in outs.items()}
        )

    def forward(self) -> KeyValues:
        """Return site -> (layers, 2, kv_heads, P, head_dim); computed once per step, whatever the batch size."""
        past = {}
        for site, mlp in self.mlps.items():
            flat = mlp(self.inputs[site].weight)  # (P, layers * 2 * heads * dim)
            past[site] = flat.view(-1, *self.shapes[site]).permute(1, 2, 3, 0, 4)
        return past

    def fit(self, target: KeyValues) -> None:
        """Fit the output to `target` by squared error, as the official code does to initialise the MLP from words."""
        optimiser = torch.optim.Adam(self.parameters(), lr=1e-4)
        for _ in range(500):
            optimiser.zero_grad()
            past = self()
            torch.stack([F.mse_loss(past[site], target[site]) for site in past]).sum().backward()
            optimiser.step()

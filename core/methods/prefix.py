"""Prefix-tuning (paper §4): keys and values of P virtual tokens at every layer; the model stays frozen."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from core.config.train import TrainConfig
from core.methods.base import LoadedMethod
from core.models.activations import initial_key_values
from core.models.backbone import Backbone
from core.prefix.attention import PrefixState, attach
from core.prefix.modules import DirectPrefix, PrefixMLP
from core.prefix.prefix import Prefix, check_shape
from core.runs.run import Run


class PrefixMethod:
    """Keys and values, trained directly or through an MLP of which only the output is stored (paper §4.3)."""

    name = "prefix"
    infix = False

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        torch.manual_seed(config.seed)
        self.model, self.length, device = backbone.model, config.length, backbone.device
        self.module: DirectPrefix | PrefixMLP
        if not config.mlp:
            start = initial_key_values(backbone, config.init, config.length, config.init_words)
            self.module = DirectPrefix(start).to(device)
            return
        self.module = PrefixMLP(backbone.spec, config.length, config.mlp).to(device)
        if config.init == "words":
            self.module.fit(initial_key_values(backbone, "words", config.length, config.init_words))
        elif config.init == "zeros":
            for mlp in self.module.mlps.values():
                nn.init.zeros_(mlp[-1].weight)  # type: ignore[index]
                nn.init.zeros_(mlp[-1].bias)  # type: ignore[index]

    def parameters(self) -> list[nn.Parameter]:
        """Return the prefix's parameters, or the MLP's if there is one."""
        return list(self.module.parameters())

    @contextmanager
    def attach(self, rows: int, split: Tensor | None = None) -> Iterator[None]:
        """Attach the current prefix in front of every row; the MLP runs once per batch."""
        with attach(self.model, PrefixState.shared(self.module(), rows, start=split)):
            yield

    @torch.no_grad()
    def tensors(self) -> dict[str, Tensor]:
        """Return site -> (layers, 2, kv_heads, P, head_dim), the MLP's output if there is one."""
        return {site: kv.detach().clone().contiguous() for site, kv in self.module().items()}

    def prefix(self) -> Prefix:
        """Return the current prefix."""
        return Prefix(self.tensors(), infix=self.infix)

    @classmethod
    def load(cls, run: Run, backbone: Backbone) -> LoadedMethod:
        """Return the shared model and the prefix."""
        prefix = Prefix.load(run.weights, run.backbone, run.fingerprint)
        check_shape(prefix, backbone.spec, f"The run {run.id!r}")
        return LoadedMethod(backbone.model, replace(prefix, infix=cls.infix))

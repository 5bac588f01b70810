"""Fine-tuning (paper §3.3): every weight is trained, in a copy of its own; the shared backbone is not touched."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from core.attention import attach
from core.backbone import Backbone
from core.config import TrainConfig


class FinetuneMethod:
    """All weights, tied ones once."""

    name = "finetune"
    length = 0

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        torch.manual_seed(config.seed)
        self.model = copy.deepcopy(backbone.model).float().requires_grad_(True)

    def parameters(self) -> list[nn.Parameter]:
        """Every weight of the copy."""
        return list(self.model.parameters())

    @contextmanager
    def attach(self, rows: int) -> Iterator[None]:
        """Nothing to put in force: the copy's weights are the method."""
        with attach(self.model, None):
            yield

    @torch.no_grad()
    def tensors(self) -> dict[str, Tensor]:
        """Every weight by name; a tied weight is stored once."""
        return {name: weight.detach().clone() for name, weight in self.model.named_parameters()}

"""Adapter-tuning (paper §5.2, in the form of Lin et al., 2020): a small residual module after every block.

y = x + up(ReLU(down(norm(x)))); the model's own weights stay frozen and are shared with the backbone.
"""

from typing import Any

import torch
from torch import Tensor, nn

from core.config.train import TrainConfig
from core.errors import BadInput
from core.methods.weight_method import HINT, WeightMethod, share_weights_copy
from core.models.backbone import Backbone, BackboneSpec
from core.models.blocks import stacks
from core.prefix.prefix import stored_count


class Adapter(nn.Module):
    """norm, down, ReLU, up, residual. `up` begins at zero, so that training begins at the frozen model."""

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.down = nn.Linear(width, bottleneck)
        self.up = nn.Linear(bottleneck, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, width) to the same."""
        inner = self.norm(hidden.to(self.norm.weight.dtype))
        return hidden + self.up(torch.relu(self.down(inner))).to(hidden.dtype)


class AdapterMethod(WeightMethod):
    """One adapter a block; its size is given, or found by `bottleneck`."""

    name = "adapter"

    @classmethod
    def build(cls, backbone: Backbone, config: TrainConfig) -> Any:
        """The backbone's own tensors, with adapters between."""
        size = bottleneck_size(config, backbone.spec, sum(map(len, stacks(backbone))))
        model = share_weights_copy(backbone.model, lambda name: False)
        for stack in stacks(Backbone(backbone.spec, model, backbone.tokenizer, backbone.device)):
            for block in stack:
                block.adapter = Adapter(backbone.spec.width, size).to(backbone.device, backbone.dtype)
                block.register_forward_hook(_adapter_hook)
        return model

    @classmethod
    def config_from_tensors(cls, config: TrainConfig, tensors: dict[str, Tensor]) -> TrainConfig:
        """The bottleneck of the file's adapters."""
        found = next((tensor for name, tensor in tensors.items() if name.endswith(".adapter.down.bias")), None)
        if found is None or not found.numel():
            raise BadInput(f"The file of weights holds no adapter. {HINT}")
        return config.but(bottleneck=found.numel())


def _adapter_hook(block: nn.Module, inputs: Any, output: Any) -> Any:
    """What a block gives, through its adapter; some blocks give more than the hidden states."""
    adapter: Any = block.adapter
    return (adapter(output[0]), *output[1:]) if isinstance(output, tuple) else adapter(output)


def adapter_parameters(width: int, blocks: int, size: int) -> int:
    """Parameters of all adapters: two for each unit of the norm, two matrices, two biases."""
    return blocks * (2 * width + 2 * width * size + size + width)


def bottleneck_size(config: TrainConfig, spec: BackboneSpec, blocks: int) -> int:
    """`config.bottleneck`; else the one that comes nearest to `config.share` of the backbone's parameters; else to what a
    prefix of `config.length` would store. At least 1."""
    if config.bottleneck:
        return config.bottleneck
    wanted = config.share * spec.parameters if config.share else stored_count(spec, config.length)
    least, each = adapter_parameters(spec.width, blocks, 0), blocks * (2 * spec.width + 1)
    return max(1, round((wanted - least) / each))

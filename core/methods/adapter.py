"""Adapter-tuning (paper §5.2, as in Lin et al., 2020): a small residual module after every block.

y = x + up(ReLU(down(norm(x)))). The model's own weights stay frozen and are shared with the backbone.
"""

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from core.backbone_spec import BackboneSpec
from core.config.train import TrainConfig
from core.errors import BadInput
from core.methods.weight_method import HINT, WeightMethod, share_weights_copy
from core.models.architectures import transformer_blocks
from core.models.backbone import Backbone
from core.prefix.prefix import stored_count

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Adapter(nn.Module):
    """A residual module: norm, down, ReLU, up. `up` is initialised to zero, so that training starts from the frozen model."""

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.down = nn.Linear(width, bottleneck)
        self.up = nn.Linear(bottleneck, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (B, T, width) to the same shape."""
        inner = self.norm(hidden.to(self.norm.weight.dtype))
        return hidden + self.up(torch.relu(self.down(inner))).to(hidden.dtype)


class AdapterMethod(WeightMethod):
    """One adapter per block, with the size that `bottleneck_size` returns."""

    name = "adapter"

    @classmethod
    def build(cls, backbone: Backbone, config: TrainConfig) -> "PreTrainedModel":
        """Return the model with the backbone's own tensors and an adapter after each block."""
        size = bottleneck_size(config, backbone.spec, sum(map(len, transformer_blocks(backbone.model))))
        model = share_weights_copy(backbone.model, lambda name: False)
        for stack in transformer_blocks(model):
            for block in stack:
                block.adapter = Adapter(backbone.spec.width, size).to(backbone.device, backbone.dtype)
                block.register_forward_hook(_adapter_hook)
        return model

    @classmethod
    def config_from_tensors(cls, config: TrainConfig, tensors: dict[str, Tensor]) -> TrainConfig:
        """Read the bottleneck size from the adapters in the file."""
        bias = next((tensor for name, tensor in tensors.items() if name.endswith(".adapter.down.bias")), None)
        if bias is None or not bias.numel():
            raise BadInput(f"The file of weights has no adapter. {HINT}")
        return config.replace(bottleneck=bias.numel())


def _adapter_hook(block: nn.Module, inputs: object, output: object) -> object:
    """Pass a block's hidden states through its adapter; some blocks return a tuple that starts with them."""
    adapter = cast(Adapter, block.adapter)
    return (adapter(output[0]), *output[1:]) if isinstance(output, tuple) else adapter(output)


def adapter_parameters(width: int, blocks: int, size: int) -> int:
    """Return the number of parameters of all adapters; each has a norm, two matrices and two biases."""
    return blocks * (2 * width + 2 * width * size + size + width)


def bottleneck_size(config: TrainConfig, spec: BackboneSpec, blocks: int) -> int:
    """Return the bottleneck size, at least 1.

    It is `config.bottleneck` if set; otherwise the size that comes closest to `config.share` of the backbone's parameters or,
    without a share, to the size of a prefix of `config.length`.
    """
    if config.bottleneck:
        return config.bottleneck
    target = config.share * spec.parameters if config.share else stored_count(spec, config.length)
    fixed, per_unit = adapter_parameters(spec.width, blocks, 0), blocks * (2 * spec.width + 1)
    return max(1, round((target - fixed) / per_unit))

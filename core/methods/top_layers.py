"""Fine-tuning the top layers only (FT-top2, paper §5.2): the last blocks, the final norm and the embeddings."""

from typing import Any

import torch
from torch import nn

from core.config.train import TrainConfig
from core.errors import BadConfig, NotSupported
from core.methods.weight_method import WeightMethod, share_weights_copy
from core.models.backbone import Backbone
from core.models.blocks import stacks


class TopLayersMethod(WeightMethod):
    """The last `config.layers` blocks, the final norm, and the token embeddings (tied ones once)."""

    name = "top_layers"

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        super().__init__(backbone, config)
        if backbone.dtype != torch.float32:  # fp32 embeddings feed fp32 into the frozen lower blocks, so these must be fp32 too
            ours = {name for name, weight in self.model.named_parameters() if weight.requires_grad}
            self.model = share_weights_copy(self.model, lambda name: True).float()
            for name, weight in self.model.named_parameters():
                weight.requires_grad_(name in ours)

    @classmethod
    def build(cls, backbone: Backbone, config: TrainConfig) -> Any:
        """Return a copy that shares the lower blocks with the backbone."""
        return share_weights_copy(backbone.model, trained_names(backbone, config.layers).__contains__)


def trained_names(backbone: Backbone, count: int) -> set[str]:
    """Return the names of the trained weights; BadConfig where the model has fewer blocks."""
    model, spec = backbone.model, backbone.spec
    if count > spec.layers:
        raise BadConfig(f"layers must be at most {spec.layers}, the blocks of {spec.name}; given: {count}.")
    chosen: list[nn.Module] = [*stacks(backbone)[-1][-count:], model.get_input_embeddings(), model.get_output_embeddings()]
    ours = {id(weight) for module in [*chosen, final_norm(backbone)] for weight in module.parameters()}
    return {name for name, weight in model.named_parameters() if id(weight) in ours}


def final_norm(backbone: Backbone) -> nn.Module:
    """The norm after the last block: GPT-2 calls it ln_f, most others norm."""
    for name in ("ln_f", "norm", "final_layer_norm", "final_layernorm"):
        if (found := getattr(backbone.model.base_model, name, None)) is not None:
            return found
    raise NotSupported(
        f"Fine-tuning the top layers does not fit {backbone.spec.name}: no norm follows its last block. Use GPT-2, Llama or Qwen."
    )

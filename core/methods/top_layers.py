"""Fine-tuning the top layers only (FT-top2, paper §5.2): the last blocks, the final norm and the embeddings."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from core.config.train import TrainConfig
from core.errors import BadConfig, NotSupported
from core.methods.weight_method import WeightMethod, share_weights_copy
from core.models.architectures import final_norm, transformer_blocks
from core.models.backbone import Backbone

if TYPE_CHECKING:
    from transformers import PreTrainedModel


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
    def build(cls, backbone: Backbone, config: TrainConfig) -> "PreTrainedModel":
        """Return a copy that shares the lower blocks with the backbone."""
        return share_weights_copy(backbone.model, trained_names(backbone, config.layers).__contains__)


def trained_names(backbone: Backbone, count: int) -> set[str]:
    """Return the names of the trained weights. Raises BadConfig if the model has fewer blocks."""
    model, spec = backbone.model, backbone.spec
    if count > spec.layers:
        raise BadConfig(f"layers must be at most {spec.layers}, the blocks of {spec.name}; given: {count}.", "layers")
    if isinstance(norm := final_norm(model), nn.Identity):
        raise NotSupported(
            f"Fine-tuning the top layers does not fit {spec.name}: no norm follows its last block. Use GPT-2, Llama or Qwen."
        )
    top: list[nn.Module] = [*transformer_blocks(model)[-1][-count:], norm]
    top += [model.get_input_embeddings(), model.get_output_embeddings()]
    ours = {id(weight) for module in top for weight in module.parameters()}
    return {name for name, weight in model.named_parameters() if id(weight) in ours}

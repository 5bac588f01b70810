"""How many parameters a method trains and stores, counted on the meta device before anything is trained."""

from dataclasses import dataclass

import torch

from core.config.train import TrainConfig
from core.methods.registry import new_method
from core.models.backbone import Backbone
from core.prefix.attention import install_prefix_attention


@dataclass(frozen=True)
class ParameterCounts:
    """Parameters that the optimizer updates, that the file stores, and that the backbone has; tied ones count once."""

    trained: int
    stored: int
    backbone: int

    @property
    def share(self) -> float:
        """The stored parameters as a share of the backbone's."""
        return self.stored / self.backbone


def parameter_counts(backbone: Backbone, config: TrainConfig) -> ParameterCounts:
    """Count the parameters of a method on a backbone; errors of `new_method`. It needs no memory, however large they are."""
    with torch.device("meta"):
        model = type(backbone.model)(backbone.model.config)
        install_prefix_attention(model)
        bare = Backbone(backbone.spec, model.requires_grad_(False), backbone.tokenizer, torch.device("meta"))
        method = new_method(bare, config.replace(init="random"))  # the initialization changes no count
        trained = sum(weight.numel() for weight in method.parameters())
        stored = sum(tensor.numel() for tensor in method.tensors().values())
    return ParameterCounts(trained, stored, backbone.spec.parameters)

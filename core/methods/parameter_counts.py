"""Count the parameters that a method trains and stores, on the meta device and before anything is trained."""

from dataclasses import dataclass

import torch

from core.config.train import TrainConfig
from core.methods.registry import new_method
from core.models.backbone import Backbone
from core.prefix.attention import install_prefix_attention


@dataclass(frozen=True)
class ParameterCounts:
    """The number of parameters that are trained, that are stored, and that the backbone has; tied weights count once."""

    trained: int
    stored: int
    backbone: int

    @property
    def share(self) -> float:
        """The stored parameters as a fraction of the backbone's."""
        return self.stored / self.backbone


def parameter_counts(backbone: Backbone, config: TrainConfig) -> ParameterCounts:
    """Count the parameters of a method on a backbone, without allocating them. Raises the errors of `new_method`."""
    with torch.device("meta"):
        model = type(backbone.model)(backbone.model.config)
        install_prefix_attention(model)
        bare = Backbone(backbone.spec, model.requires_grad_(False), backbone.tokenizer, torch.device("meta"))
        method = new_method(bare, config.replace(init="random"))  # the initialization changes no count
        trained = sum(weight.numel() for weight in method.parameters())
        stored = sum(tensor.numel() for tensor in method.tensors().values())
    return ParameterCounts(trained, stored, backbone.spec.parameters)

"""What a method will train and store, known before anything is trained: the method is built without its numbers."""

from dataclasses import dataclass

import torch

from core.config.train import TrainConfig
from core.methods.registry import new_method
from core.models.backbone import Backbone
from core.prefix.attention import prepare


@dataclass(frozen=True)
class ParameterCounts:
    """Parameters that the optimiser changes, that the file holds, and that the backbone has; tied ones once."""

    trained: int
    stored: int
    backbone: int

    @property
    def share(self) -> float:
        """What is stored, in parts of the backbone."""
        return self.stored / self.backbone


def parameter_counts(backbone: Backbone, config: TrainConfig) -> ParameterCounts:
    """Count the parameters of a method on a backbone; errors of `new_method`. It takes no memory, however large either is."""
    with torch.device("meta"):
        model = type(backbone.model)(backbone.model.config)
        prepare(model)
        bare = Backbone(backbone.spec, model.requires_grad_(False), backbone.tokenizer, torch.device("meta"))
        method = new_method(bare, config.but(init="random"))  # how it begins changes no count
        trained = sum(weight.numel() for weight in method.parameters())
        stored = sum(tensor.numel() for tensor in method.tensors().values())
    return ParameterCounts(trained, stored, backbone.spec.parameters)

"""Fine-tuning (paper §3.3): every weight is trained, in a copy of its own; the shared backbone is not touched."""

from typing import Any

from core.config.train import TrainConfig
from core.methods.weight_method import OwnModel, own_copy
from core.models.backbone import Backbone


class FinetuneMethod(OwnModel):
    """All weights, tied ones once."""

    name = "finetune"

    @classmethod
    def build(cls, backbone: Backbone, config: TrainConfig) -> Any:
        """A whole copy."""
        return own_copy(backbone.model, lambda name: True)

"""Fine-tuning (paper §3.3): all weights are trained in a copy of the model; the shared backbone does not change."""

from typing import TYPE_CHECKING

from core.config.train import TrainConfig
from core.methods.weight_method import WeightMethod, share_weights_copy
from core.models.backbone import Backbone

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class FinetuneMethod(WeightMethod):
    """Trains all weights; tied weights count once."""

    name = "finetune"

    @classmethod
    def build(cls, backbone: Backbone, config: TrainConfig) -> "PreTrainedModel":
        """Return a full copy of the model."""
        return share_weights_copy(backbone.model, lambda name: True)

"""LoRA through PEFT (Hu et al., 2021; not in the paper): low-rank updates beside the attention's projections."""

from typing import TYPE_CHECKING, cast

from torch import Tensor

from core.config.train import TrainConfig
from core.errors import BadInput, NotSupported
from core.methods.weight_method import HINT, WeightMethod, share_weights_copy
from core.models.backbone import Backbone

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DEFAULT_TARGETS = ("q_proj", "v_proj")  # of a model that PEFT does not know


class LoraMethod(WeightMethod):
    """Low-rank updates of rank `config.rank`, scaled by `config.lora_alpha` / rank, on the modules that PEFT adapts by
    default."""

    name = "lora"

    @classmethod
    def build(cls, backbone: Backbone, config: TrainConfig) -> "PreTrainedModel":
        """Return the model with the backbone's own tensors and PEFT's layers around the projections."""
        from peft import LoraConfig, inject_adapter_in_model  # imported here because it is slow
        from transformers.pytorch_utils import Conv1D

        model, targets = share_weights_copy(backbone.model, lambda name: False), lora_targets(backbone)
        modules = [module for name, module in model.named_modules() if name.rsplit(".", 1)[-1] in targets]
        if not modules:
            raise NotSupported(
                f"LoRA does not fit {backbone.spec.name}: it has no {' or '.join(targets)}. Use GPT-2, Llama, Qwen or BART."
            )
        transposed = isinstance(modules[0], Conv1D)  # GPT-2 stores its matrices transposed
        settings = LoraConfig(r=config.rank, lora_alpha=config.lora_alpha, target_modules=targets, fan_in_fan_out=transposed)
        return cast("PreTrainedModel", inject_adapter_in_model(settings, model))

    @classmethod
    def config_from_tensors(cls, config: TrainConfig, tensors: dict[str, Tensor]) -> TrainConfig:
        """Read the rank from the matrices in the file."""
        matrix = next((tensor for name, tensor in tensors.items() if ".lora_A." in name and tensor.ndim == 2), None)
        if matrix is None or not matrix.numel():
            raise BadInput(f"The file of weights has no LoRA matrices. {HINT}")
        return config.replace(rank=len(matrix))


def lora_targets(backbone: Backbone) -> list[str]:
    """Return the modules that PEFT adapts by default in this model: c_attn in GPT-2, q_proj and v_proj in most others."""
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN

    return list(KNOWN.get(backbone.model.config.model_type, DEFAULT_TARGETS))

"""LoRA through PEFT: low-rank updates beside the attention's projections. Not in the paper; what people use today."""

from typing import Any

from torch import Tensor

from core.config.train import TrainConfig
from core.errors import BadInput, NotSupported
from core.methods.weight_method import HINT, WeightMethod, share_weights_copy
from core.models.backbone import Backbone

DEFAULT_TARGETS = ("q_proj", "v_proj")  # where PEFT does not know a model


class LoraMethod(WeightMethod):
    """Rank `config.rank`, scaled by `config.lora_alpha` / rank, on the modules that PEFT chooses for the model."""

    name = "lora"

    @classmethod
    def build(cls, backbone: Backbone, config: TrainConfig) -> Any:
        """The backbone's own tensors, with PEFT's layers around the projections."""
        from peft import LoraConfig, inject_adapter_in_model  # late: it is slow to import, and only this needs it
        from transformers.pytorch_utils import Conv1D

        model, targets = share_weights_copy(backbone.model, lambda name: False), lora_targets(backbone)
        chosen = [module for name, module in model.named_modules() if name.rsplit(".", 1)[-1] in targets]
        if not chosen:
            raise NotSupported(
                f"LoRA does not fit {backbone.spec.name}: it has no {' or '.join(targets)}. Use GPT-2, Llama, Qwen or BART."
            )
        transposed = isinstance(chosen[0], Conv1D)  # GPT-2 keeps its matrices the other way round
        wanted = LoraConfig(r=config.rank, lora_alpha=config.lora_alpha, target_modules=targets, fan_in_fan_out=transposed)
        return inject_adapter_in_model(wanted, model)

    @classmethod
    def config_from_tensors(cls, config: TrainConfig, tensors: dict[str, Tensor]) -> TrainConfig:
        """The rank of the file's matrices."""
        found = next((tensor for name, tensor in tensors.items() if ".lora_A." in name and tensor.ndim == 2), None)
        if found is None or not found.numel():
            raise BadInput(f"The file of weights holds no LoRA matrices. {HINT}")
        return config.but(rank=len(found))


def lora_targets(backbone: Backbone) -> list[str]:
    """The modules that PEFT adapts by default in such a model: c_attn in GPT-2, q_proj and v_proj in most others."""
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN

    return list(KNOWN.get(backbone.model.config.model_type, DEFAULT_TARGETS))

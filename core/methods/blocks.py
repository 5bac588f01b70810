"""The blocks (Transformer layers) of a decoder, in order, whatever its family calls them."""

from torch import nn

from core.backbone import Backbone
from core.errors import NotSupported


def blocks(backbone: Backbone) -> list[nn.Module]:
    """As many as the model is deep; NotSupported where there is no such list."""
    spec = backbone.spec
    for module in backbone.model.base_model.children():
        if isinstance(module, nn.ModuleList) and len(module) == spec.layers:
            return list(module)
    raise NotSupported(f"The blocks of {spec.name} were not found, so this method cannot change them. Use GPT-2, Llama or Qwen.")

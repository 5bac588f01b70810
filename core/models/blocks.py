"""The blocks (Transformer layers) of a model, in order, whatever its family calls them."""

from torch import nn

from core.errors import NotSupported
from core.models.backbone import Backbone


def stacks(backbone: Backbone) -> list[list[nn.Module]]:
    """The decoder's blocks; the encoder's before them where there is one. NotSupported where there are no such lists."""
    lists = [module for module in backbone.model.modules() if isinstance(module, nn.ModuleList)]
    found = [list(module) for module in lists if len(module) and all(map(_attends, module))]
    if not found:
        raise NotSupported(
            f"The blocks of {backbone.spec.name} were not found, so this method cannot change them. Use GPT-2, Llama or Qwen."
        )
    return found


def _attends(block: nn.Module) -> bool:
    """Whether a module holds attention that a prefix could reach; lists of experts do not."""
    return any(hasattr(module, "prefix_place") for module in block.modules())

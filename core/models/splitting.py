"""Models that accelerate's device map splits over devices: the device of their inputs, and weights that are not loaded.

Their layers compute on the devices that the map names; layers mapped to the CPU beside a GPU, or to the disk, are loaded for
their forward call only.
"""

from collections.abc import Iterator

import torch
import transformers
from torch import Tensor, nn

OFFLOADED = ("cpu", "disk")


def is_split(model: nn.Module) -> bool:
    """Whether the weights are on several devices, or on the disk."""
    places = set(getattr(model, "hf_device_map", {}).values())
    return len(places) > 1 or "disk" in places


def input_device(model: nn.Module) -> torch.device:
    """Return the device of a model's inputs, which is also that of its logits."""
    if not is_split(model):
        return next(model.parameters()).device
    places: list[int | str] = [place for place in model.hf_device_map.values() if place not in OFFLOADED]  # type: ignore[operator]
    return torch.device(places[0] if places else "cpu")


def weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield names and values of all parameters, shared ones once. Parameters that are not loaded are read module by module."""
    if not is_split(model):
        yield from model.named_parameters()
        return
    from accelerate.utils import align_module_device

    tied = set(model.all_tied_weights_keys) if isinstance(model, transformers.PreTrainedModel) else set()
    for path, module in model.named_modules():
        with align_module_device(module):
            for name, weight in module.named_parameters(recurse=False):
                whole = f"{path}.{name}" if path else name
                if whole not in tied:
                    yield whole, weight


def own_forward(model: nn.Module) -> None:
    """Give a shallow copy of a split model its class's forward call: accelerate binds its own to the original."""
    for name in ("forward", "_old_forward", "_hf_hook"):
        model.__dict__.pop(name, None)

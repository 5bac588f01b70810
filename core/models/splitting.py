"""A model that is split over devices by accelerate's device map: where its inputs belong, and weights that are not loaded.

Its layers compute on the devices that the map names; those mapped to the CPU beside a GPU, or to the disk, are loaded for
their forward call alone.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

OFFLOADED = ("cpu", "disk")


def is_split(model: nn.Module) -> bool:
    """Whether the weights are on several devices, or on the disk."""
    places = set(getattr(model, "hf_device_map", {}).values())
    return len(places) > 1 or "disk" in places


def input_device(model: nn.Module) -> torch.device:
    """Where a model takes its inputs, and returns its logits."""
    if not is_split(model):
        return next(model.parameters()).device
    places: list[int | str] = [place for place in model.hf_device_map.values() if place not in OFFLOADED]  # type: ignore[operator]
    return torch.device(places[0] if places else "cpu")


def weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Names and values of all parameters, shared ones once. What is not loaded is read, a module at a time."""
    if not is_split(model):
        yield from model.named_parameters()
        return
    from accelerate.utils import align_module_device

    tied = set(model.all_tied_weights_keys) if isinstance(model, PreTrainedModel) else set()
    for path, module in model.named_modules():
        with align_module_device(module):
            for name, weight in module.named_parameters(recurse=False):
                whole = f"{path}.{name}" if path else name
                if whole not in tied:
                    yield whole, weight


def own_forward(model: nn.Module) -> None:
    """Give a shallow copy of a split model its class's forward call: accelerate's is bound to the original."""
    for name in ("forward", "_old_forward", "_hf_hook"):
        model.__dict__.pop(name, None)

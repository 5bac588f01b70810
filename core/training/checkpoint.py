"""Where a training stands, in one file: parameters, optimiser, best tensors so far, the path of the prefix.

One safetensors file, replaced by rename, so that a kill at any moment leaves the last whole one.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.errors import StoreError
from core.methods.base import Method
from core.training.loop import Progress

NAME = "resume.safetensors"


@dataclass
class Kept:
    """Tensors kept along the way: the best by validation, and a prefix at its marks ("0000500.decoder")."""

    best: dict[str, Tensor] | None
    history: dict[str, Tensor]


def save_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write safetensors by rename; StoreError where the disk is full or cannot be written."""
    spare = path.with_name(path.name + ".tmp")
    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, spare, metadata)
        os.replace(spare, path)
    except (OSError, SafetensorError) as error:
        spare.unlink(missing_ok=True)
        raise StoreError(
            f"Cannot write {path} ({error}). Free some space, or choose another folder with PREFIX_LAB_HOME."
        ) from error


def save_checkpoint(folder: Path, method: Method, progress: Progress, kept: Kept, data: str) -> None:
    """Write the checkpoint; `data` is the fingerprint of the training rows."""
    tensors: dict[str, Tensor] = {f"history.{name}": tensor for name, tensor in kept.history.items()}
    tensors |= {f"best.{name}": tensor for name, tensor in (kept.best or {}).items()}
    for place, parameter in enumerate(method.parameters()):
        tensors[f"parameter.{place}"] = parameter
        for name, value in progress.optimiser.state.get(parameter, {}).items():
            tensors[f"adam.{place}.{name}"] = value
    numbers = {"index": progress.index, "lowest": progress.lowest, "stale": progress.stale, "seconds": progress.seconds}
    save_tensors(tensors, folder / NAME, {name: repr(value) for name, value in numbers.items()} | {"data": data})


@torch.no_grad()
def load_checkpoint(folder: Path, method: Method, progress: Progress, data: str) -> Kept:
    """Put method and progress back where they stood. StoreError where there is none, or it belongs to other data or settings."""
    try:
        with safe_open(folder / NAME, "pt") as file:
            tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"The run {folder.name!r} has no checkpoint to go on from ({error}). Train it again under another name."
        ) from error
    if metadata.get("data") != data:
        raise StoreError(f"The run {folder.name!r} was trained on other rows. Give the same data and settings to go on.")
    params = method.parameters()
    if [tensors[f"parameter.{place}"].shape for place in range(len(params))] != [parameter.shape for parameter in params]:
        raise StoreError(f"The checkpoint of {folder.name!r} does not fit its settings. Train it again under another name.")
    for place, parameter in enumerate(params):
        parameter.copy_(tensors[f"parameter.{place}"])
        state = {name.split(".", 2)[2]: value for name, value in tensors.items() if name.startswith(f"adam.{place}.")}
        if state:
            progress.optimiser.state[parameter] = {
                name: value if name == "step" else value.to(parameter.device) for name, value in state.items()
            }
    progress.index, progress.stale = int(metadata["index"]), int(metadata["stale"])
    progress.lowest, progress.seconds = float(metadata["lowest"]), float(metadata["seconds"])
    best = {name[5:]: value for name, value in tensors.items() if name.startswith("best.")}
    history = {name[8:]: value for name, value in tensors.items() if name.startswith("history.")}
    return Kept(best or None, history)

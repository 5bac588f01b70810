"""Checkpoints: parameters, optimizer state, the best tensors so far and the prefix's history, in one safetensors file.

The file is replaced by rename, so that a crash at any time leaves the last complete one.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from core.errors import StoreError
from core.methods.base import Method
from core.runs.layout import RunFiles
from core.runs.tensors import save_tensors
from core.training.loop import TrainerState


@dataclass
class CheckpointExtras:
    """Tensors beside the parameters: the best by validation, and the prefix during training ("0000500.decoder")."""

    best: dict[str, Tensor] | None
    history: dict[str, Tensor]


def save_checkpoint(folder: Path, method: Method, state: TrainerState, extras: CheckpointExtras, data: str) -> None:
    """Write the checkpoint. `data`: the fingerprint of the training rows, checked when it is loaded."""
    tensors: dict[str, Tensor] = {f"history.{name}": tensor for name, tensor in extras.history.items()}
    tensors |= {f"best.{name}": tensor for name, tensor in (extras.best or {}).items()}
    for place, parameter in enumerate(method.parameters()):
        tensors[f"parameter.{place}"] = parameter
        for name, value in state.optimizer.state.get(parameter, {}).items():
            tensors[f"adam.{place}.{name}"] = value
    names = ("index", "lowest", "valid_loss", "stale", "seconds")
    numbers = {name: getattr(state, name) for name in names}
    save_tensors(tensors, RunFiles(folder).checkpoint, {name: repr(value) for name, value in numbers.items()} | {"data": data})


@torch.no_grad()
def load_checkpoint(folder: Path, method: Method, state: TrainerState, data: str) -> CheckpointExtras:
    """Restore parameters and trainer state. Raises StoreError if there is no checkpoint, or if its data or settings differ."""
    try:
        with safe_open(RunFiles(folder).checkpoint, "pt") as file:
            tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"The run {folder.name!r} has no checkpoint to continue from ({error}). Train it again under another name."
        ) from error
    if metadata.get("data") != data:
        raise StoreError(
            f"The run {folder.name!r} cannot be resumed: its data has other rows now than when it began. "
            "Put the first ones back, or train again under another name."
        )
    params = method.parameters()
    if [tensors[f"parameter.{place}"].shape for place in range(len(params))] != [parameter.shape for parameter in params]:
        raise StoreError(f"The checkpoint of {folder.name!r} does not fit its settings. Train it again under another name.")
    for place, parameter in enumerate(params):
        parameter.copy_(tensors[f"parameter.{place}"])
        saved = {name.split(".", 2)[2]: value for name, value in tensors.items() if name.startswith(f"adam.{place}.")}
        if saved:
            state.optimizer.state[parameter] = {
                name: value if name == "step" else value.to(parameter.device) for name, value in saved.items()
            }
    state.index, state.stale = int(metadata["index"]), int(metadata["stale"])
    state.lowest, state.seconds = float(metadata["lowest"]), float(metadata["seconds"])
    state.valid_loss = float(metadata.get("valid_loss", state.lowest))  # version 0.2.0 had one number for both
    best = {name[5:]: value for name, value in tensors.items() if name.startswith("best.")}
    history = {name[8:]: value for name, value in tensors.items() if name.startswith("history.")}
    return CheckpointExtras(best or None, history)

"""What a training will take, told before it begins: parameters, the size of its file, and an estimate of its time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from core.config.methods import method_info
from core.config.train import TrainConfig
from core.methods.base import Method
from core.methods.parameter_counts import parameter_counts
from core.methods.registry import new_method
from core.models.backbone import Backbone
from core.training.batches import Row, collate, epochs
from core.training.loop import batch_loss, total_updates

START = 6.0  # seconds until a process has loaded its libraries and the model
HEADER = 2_000  # bytes of a safetensors file beside its numbers


@dataclass(frozen=True)
class Plan:
    """Parameters trained and stored, bytes of the file (fp32), training pairs, updates, and seconds on this machine."""

    trained: int
    stored: int
    bytes: int
    rows: int
    updates: int
    seconds: float


def plan(backbone: Backbone, config: TrainConfig, sample: Sequence[Row], rows: int, valid: int) -> Plan:
    """What a training on so many rows, like those of the sample, will take, with so many others to validate on.

    The time is that of one batch through the model, with the method's cost of a backward pass added for each update. One short
    step of the device. In-context learning makes no updates.
    """
    counted = parameter_counts(backbone, config)
    updates = total_updates(config, rows) if counted.trained else 0
    forward = _seconds_of_a_batch(backbone, config, sample)
    batches = updates * config.accumulate * (1 + method_info(config.method).backward_cost)
    validations = updates // config.validate_every + 1 if valid else 0
    batches += validations * min(valid, config.valid_rows) / config.batch
    return Plan(counted.trained, counted.stored, 4 * counted.stored + HEADER, rows, updates, START + batches * forward)


@torch.no_grad()
def _seconds_of_a_batch(backbone: Backbone, config: TrainConfig, sample: Sequence[Row]) -> float:
    """One batch forward, the second time: the first one also fills caches."""
    chosen = next(epochs(sample, min(config.batch, len(sample)), config.seed))
    method: Method = new_method(backbone, TrainConfig(method="prefix", length=min(config.length, 20), init="zeros"))
    batch = collate(chosen, backbone.device)
    for _ in range(2):
        began = time.perf_counter()
        with method.attach(len(chosen)):
            batch_loss(method, batch, config).item()
    return (time.perf_counter() - began) * config.batch / len(chosen)

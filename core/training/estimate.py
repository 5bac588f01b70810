"""Estimate a training before it starts: parameters, file size and time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from core.config.decode import DecodeConfig
from core.config.methods import method_info
from core.config.train import TrainConfig
from core.generation.generate import generate
from core.generation.limits import max_new_tokens
from core.generation.types import Request
from core.methods.base import Method
from core.methods.near_text import with_length_of_text
from core.methods.parameter_counts import parameter_counts
from core.methods.registry import new_method
from core.models.backbone import Backbone
from core.training.batches import Row
from core.training.loop import evaluate_loss, total_updates, train

START = 6.0  # seconds until a process has loaded its libraries and the model
HEADER = 2_000  # bytes of a safetensors file beside its numbers
UPDATES = 4  # that are measured; the first one is slower, so it counts only where it is the only one
ENOUGH = 2.0  # seconds after which no further update is measured
TOKENS = 8  # generated to measure the time of a sample


@dataclass(frozen=True)
class Costs:
    """Measured seconds of a batch's forward and backward pass, of a validation row, and of a sample.

    `share`: of the time, how much a busy machine gave to the measurement; 1 where it was not shared.
    """

    batch: float
    valid_row: float
    sample: float
    share: float = 1.0


@dataclass(frozen=True)
class TrainingEstimate:
    """Trained and stored parameters, file size in bytes (fp32), training pairs, updates, and seconds on this machine."""

    trained: int
    stored: int
    bytes: int
    rows: int
    updates: int
    seconds: float


def estimate(backbone: Backbone, config: TrainConfig, sample: Sequence[Row], rows: int, valid: int) -> TrainingEstimate:
    """Estimate a training on `rows` pairs like those of `sample`, validated on `valid` others.

    Some updates are run and timed; the backbone does not change.
    """
    config = with_length_of_text(backbone, config)
    counts = parameter_counts(backbone, config)
    if not counts.trained:
        return TrainingEstimate(0, counts.stored, 4 * counts.stored + HEADER, rows, 0, START)
    updates = total_updates(config, rows)
    seconds = total_seconds(config, updates, valid, measure_costs(backbone, config, sample))
    return TrainingEstimate(counts.trained, counts.stored, 4 * counts.stored + HEADER, rows, updates, seconds)


def total_seconds(config: TrainConfig, updates: int, valid: int, costs: Costs) -> float:
    """Return the duration of a training: its start, its batches, its validations and its samples."""
    validations = -(-updates // config.validate_every) if valid else 0  # every so many updates, and at the end
    samples = 1 + -(-updates // config.watch) if config.watch else 0  # before the first update as well
    validation = validations * min(valid, config.valid_rows) * costs.valid_row
    return START / costs.share + updates * config.accumulate * costs.batch + validation + samples * costs.sample


def measure_costs(backbone: Backbone, config: TrainConfig, sample: Sequence[Row]) -> Costs:
    """Time some updates, a validation and a short generation.

    A method that trains all weights is not created for this, since that copies the model: a short prefix is timed instead, and
    scaled by the higher cost of the backward pass.
    """
    info, plain = method_info(config.method), method_info("prefix")
    own = info.backward_cost <= plain.backward_cost
    measured = config.replace(method=info.id if own else plain.id, length=config.length if own else 1, init="zeros", mlp=0)
    method = new_method(backbone, measured)
    scale = (1 + info.backward_cost) / (1 + min(info.backward_cost, plain.backward_cost))
    started, own_time = time.perf_counter(), time.thread_time()
    few, batch = sample[: config.batch], scale * _seconds_of_a_batch(method, measured, sample)
    began = time.perf_counter()
    share = (time.thread_time() - own_time) / (began - started) if backbone.device.type == "cpu" else 1.0
    evaluate_loss(method, few, config)
    valid_row = (time.perf_counter() - began) / len(few)
    return Costs(batch, valid_row, _seconds_of_a_sample(backbone, method, sample), min(1.0, max(share, 0.1)))


def _seconds_of_a_batch(method: Method, config: TrainConfig, sample: Sequence[Row]) -> float:
    size = min(config.batch, len(sample))
    few = config.replace(batch=size, accumulate=1, updates=UPDATES, warmup=0, patience=0)
    seconds: list[float] = []
    for step in train(method, sample, [], few, lambda: bool(seconds) and seconds[-1] > ENOUGH):
        seconds.append(step.seconds)
    update = (seconds[-1] - seconds[0]) / (len(seconds) - 1) if len(seconds) > 1 else seconds[0]
    return update * config.batch / size


@torch.no_grad()
def _seconds_of_a_sample(backbone: Backbone, method: Method, sample: Sequence[Row]) -> float:
    """Return the time to generate a text as long as the average training text."""
    prefix, prompt = method.prefix(), list(sample[0].prompt)
    tokens = min(TOKENS, max_new_tokens(backbone, len(prompt), prefix.length if prefix else 0))
    if tokens < 1:
        return 0.0
    request = Request(prompt, prefix, split=sample[0].split)
    done = generate(method.model, backbone, [request], DecodeConfig(max_new=tokens, min_new=tokens if backbone.eos else 0))[0]
    length = sum(len(row.answer) for row in sample) / len(sample)
    return done.seconds / max(1, len(done.ids)) * length

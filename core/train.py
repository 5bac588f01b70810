"""The one training loop."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.batching import IGNORE, Batch, Row, collate, epochs
from core.config import TrainConfig
from core.errors import TrainingFailed
from core.methods.base import Method


@dataclass(frozen=True)
class Step:
    """One update. Losses in nats a target token (`valid_loss` None where not validated); rows are training pairs."""

    index: int
    total: int
    loss: float
    valid_loss: float | None
    rate: float
    rows: int
    seconds: float
    best: bool = False


def total_updates(config: TrainConfig, rows: int) -> int:
    """How many updates a configuration makes on so many rows."""
    return config.updates or max(1, math.ceil(config.epochs * rows / (config.batch * config.accumulate)))


def rate_at(config: TrainConfig, index: int, total: int) -> float:
    """Linear warm-up, then linear decay to zero (paper, Appendix A.1)."""
    if index < config.warmup:
        return config.rate * (index + 1) / config.warmup
    return config.rate * (total - index) / max(1, total - config.warmup)


def train(
    method: Method, rows: Sequence[Row], valid: Sequence[Row], config: TrainConfig, cancel: Callable[[], bool] | None = None
) -> Iterator[Step]:
    """Train a method in place; yields after each update, and ends early, keeping what there is, when `cancel()` turns true.

    Validates every `validate_every` updates and at the end; `Step.best` marks the lowest validation loss
    so far. Raises TrainingFailed where the loss is no longer a number.
    """
    device = next(method.model.parameters()).device
    params = method.parameters()
    optimiser = torch.optim.AdamW(params, lr=config.rate, weight_decay=config.weight_decay)
    batches, total = epochs(rows, config.batch, config.seed), total_updates(config, len(rows))
    lowest, began = math.inf, time.monotonic()
    with _modes(method.model, config.checkpointing):
        for index in range(total):
            if cancel is not None and cancel():
                return
            rate = optimiser.param_groups[0]["lr"] = rate_at(config, index, total)
            optimiser.zero_grad(set_to_none=True)
            used = [next(batches) for _ in range(config.accumulate)]
            loss = _backward(method, [collate(chunk, device) for chunk in used], config)
            if not math.isfinite(loss):
                raise TrainingFailed(
                    f"The loss is {loss} at update {index + 1}: training ran away. "
                    f"Use a lower rate than {config.rate:g}, or more clipping."
                )
            if config.clip:
                nn.utils.clip_grad_norm_(params, config.clip)
            optimiser.step()
            due = bool(valid) and ((index + 1) % config.validate_every == 0 or index + 1 == total)
            valid_loss = evaluate_loss(method, valid, config) if due else None
            best = valid_loss is not None and valid_loss < lowest
            lowest = min(lowest, valid_loss) if valid_loss is not None else lowest
            count = sum(len(chunk) for chunk in used)
            yield Step(index + 1, total, loss, valid_loss, rate, count, time.monotonic() - began, best)


def _backward(method: Method, batches: list[Batch], config: TrainConfig) -> float:
    """Accumulate gradients over the batches of one update; the mean loss in nats a token.

    Both reductions weigh the parts by their share of the whole update, so that splitting a batch changes nothing.
    """
    targets = sum(batch.targets for batch in batches)
    rows = sum(len(batch.ids) for batch in batches)
    total = 0.0
    for batch in batches:
        with method.attach(len(batch.ids)):  # checkpointed layers are computed again on the way back: still attached
            summed = batch_loss(method, batch, config)
            (summed / (targets if config.reduction == "token" else rows)).backward()
        total += summed.item()
    return total / targets


def batch_loss(method: Method, batch: Batch, config: TrainConfig) -> Tensor:
    """Summed loss over the target tokens of a batch, the method attached; logits are computed at their places only."""
    device = batch.ids.device
    with torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16(config, device)):
        places = torch.arange(batch.ids.shape[1], device=device)[None] + method.length  # paper: positions start at P
        hidden = method.model.base_model(input_ids=batch.ids, position_ids=places, use_cache=False).last_hidden_state
        chosen = batch.labels != IGNORE  # (B, T)
        logits = method.model.get_output_embeddings()(hidden[chosen])  # (targets, vocabulary)
        return F.cross_entropy(logits.float(), batch.labels[chosen], reduction="sum")


@torch.no_grad()
def evaluate_loss(method: Method, rows: Sequence[Row], config: TrainConfig, batch: int = 32) -> float:
    """Mean loss in nats a target token."""
    device = next(method.model.parameters()).device
    ordered, summed, targets = sorted(rows, key=len), 0.0, 0
    for start in range(0, len(ordered), batch):
        part = collate(ordered[start : start + batch], device)
        with method.attach(len(part.ids)):
            summed += batch_loss(method, part, config).item()
        targets += part.targets
    return summed / targets


def uses_bf16(config: TrainConfig, device: torch.device) -> bool:
    """Whether to autocast: "auto" says yes on CUDA with bf16 and on CPUs with bf16 instructions."""
    if config.autocast != "auto":
        return config.autocast == "on"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


class _modes:
    """Train mode with gradient checkpointing where asked, undone at the end.

    Checkpointing is silently off in eval mode; in train mode nothing else changes, for every dropout is 0.
    """

    def __init__(self, model, checkpointing: bool) -> None:
        self.model, self.checkpointing = model, checkpointing

    def __enter__(self) -> None:
        if self.checkpointing:
            self.model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
            self.model.train()

    def __exit__(self, *exc) -> None:
        if self.checkpointing:
            self.model.activation_checkpointing_disable()
            self.model.eval()

"""The one training loop."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.activations import NewGELUActivation
from transformers.pytorch_utils import Conv1D

from core.config.train import TrainConfig
from core.errors import TrainingFailed
from core.methods.base import Method
from core.models.architectures import unembed
from core.training.batches import IGNORE, Batch, Row, collate, epochs

Swaps = Sequence[tuple[nn.Module, str, Any, Any]]  # see `_swaps`


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


@dataclass
class Progress:
    """What the next update depends on, beside the method's parameters and the seed: enough to go on after a kill."""

    optimiser: torch.optim.AdamW
    index: int = 0  # updates made
    lowest: float = math.inf  # validation loss
    stale: int = 0  # validations since the lowest
    seconds: float = 0.0


def new_progress(method: Method, config: TrainConfig) -> Progress:
    """A training at its beginning."""
    return Progress(torch.optim.AdamW(method.parameters(), lr=config.rate, weight_decay=config.weight_decay))


def train(
    method: Method,
    rows: Sequence[Row],
    valid: Sequence[Row],
    config: TrainConfig,
    cancel: Callable[[], bool] | None = None,
    progress: Progress | None = None,
) -> Iterator[Step]:
    """Train a method in place; yields after each update, and ends early, keeping what there is, when `cancel()` turns true.

    Validates every `validate_every` updates and at the end; `Step.best` marks the lowest validation loss so far;
    `patience` validations without a lower one end the training. `progress` says where to begin, and is kept up to
    date: an interrupted training goes on exactly as an unbroken one would. Raises TrainingFailed where the loss or
    its gradient is no longer a number; the parameters are then those of the last good update.
    """
    device = next(method.model.parameters()).device
    now = progress or new_progress(method, config)
    batches, total = epochs(rows, config.batch, config.seed), total_updates(config, len(rows))
    for _ in range(now.index * config.accumulate):
        next(batches)
    began = time.monotonic() - now.seconds
    swaps = _swaps(method.model, config)
    with _modes(method.model, config.checkpointing):
        while now.index < total and not (cancel is not None and cancel()):
            used = [next(batches) for _ in range(config.accumulate)]
            rate = now.optimiser.param_groups[0]["lr"] = rate_at(config, now.index, total)
            loss = _update(method, [collate(chunk, device) for chunk in used], config, now, swaps)
            now.index += 1
            due = bool(valid) and (now.index % config.validate_every == 0 or now.index == total)
            valid_loss = evaluate_loss(method, valid, config) if due else None
            best = valid_loss is not None and valid_loss < now.lowest
            if valid_loss is not None:
                now.lowest, now.stale = min(now.lowest, valid_loss), 0 if best else now.stale + 1
            now.seconds = time.monotonic() - began
            yield Step(now.index, total, loss, valid_loss, rate, sum(map(len, used)), now.seconds, best)
            if config.patience and now.stale >= config.patience:
                return


def _update(method: Method, batches: list[Batch], config: TrainConfig, now: Progress, swaps: Swaps) -> float:
    """One update; the mean loss in nats a token. Nothing is changed where loss or gradient is no number."""
    now.optimiser.zero_grad(set_to_none=True)
    loss = _backward(method, batches, config, swaps)
    norm = nn.utils.clip_grad_norm_(method.parameters(), config.clip or math.inf)
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise TrainingFailed(
            f"At update {now.index + 1} the loss is {loss} and its gradient's norm {float(norm)}: training ran away. "
            f"Use a lower rate than {config.rate:g}, or more clipping. What was learned before is kept."
        )
    now.optimiser.step()
    return loss


def _backward(method: Method, batches: list[Batch], config: TrainConfig, swaps: Swaps = ()) -> float:
    """Accumulate gradients over the batches of one update; the mean loss in nats a token.

    Both reductions weigh the parts by their share of the whole update, so that splitting a batch changes nothing.
    """
    targets = sum(batch.targets for batch in batches)
    rows = sum(len(batch.ids) for batch in batches)
    total = 0.0
    for batch in batches:
        # checkpointed layers are computed again on the way back: still attached
        with method.attach(len(batch.ids), batch.split), _swapped(swaps):
            summed = batch_loss(method, batch, config)
            (summed / (targets if config.reduction == "token" else rows)).backward()
        total += summed.item()
    return total / targets


def batch_loss(method: Method, batch: Batch, config: TrainConfig) -> Tensor:
    """Summed loss over the target tokens of a batch, the method attached; logits are computed at their places only."""
    device = batch.ids.device
    with torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16(config, device)):
        hidden = method.model.base_model(**batch.inputs(method.length), use_cache=False).last_hidden_state
        chosen = batch.labels != IGNORE  # (B, T)
        logits = unembed(method.model, hidden[chosen])  # (targets, vocabulary)
        return F.cross_entropy(logits.float(), batch.labels[chosen], reduction="sum")


@torch.no_grad()
def evaluate_loss(method: Method, rows: Sequence[Row], config: TrainConfig, batch: int = 32) -> float:
    """Mean loss in nats a target token."""
    device = next(method.model.parameters()).device
    ordered, summed, targets = sorted(rows, key=len), 0.0, 0
    for start in range(0, len(ordered), batch):
        part = collate(ordered[start : start + batch], device)
        with method.attach(len(part.ids), part.split):
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


def _swaps(model: nn.Module, config: TrainConfig) -> Swaps:
    """What an update puts in place of parts of the model: (module, attribute, as it is, in an update).

    GPT-2's activation becomes one operation in place of eight: the same function, and one tensor of it is kept for the way
    back, not four. A frozen matrix that autocast would turn into bf16 every time becomes that bf16 matrix: the same
    numbers, cast once. Embeddings stay as they are, also where an output layer is tied to them. With checkpointing, which
    is to save memory, matrices stay too.
    """
    bf16 = uses_bf16(config, next(model.parameters()).device) and not config.checkpointing
    made: list[tuple[nn.Module, str, Any, Any]] = []
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                made.append((module, name, child, nn.GELU(approximate="tanh")))
        if bf16 and isinstance(module, nn.Linear | Conv1D) and not module.weight.requires_grad:
            low = nn.Parameter(module.weight.to(torch.bfloat16), requires_grad=False)
            made.append((module, "weight", module.weight, low))
    return made


@contextmanager
def _swapped(swaps: Swaps) -> Iterator[None]:
    """The model as an update has it; whoever takes the step finds it as it was."""
    try:
        for module, name, _, ours in swaps:
            setattr(module, name, ours)
        yield
    finally:
        for module, name, theirs, _ in swaps:
            setattr(module, name, theirs)


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

"""The training loop."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.config.train import TrainConfig
from core.errors import TrainingFailed
from core.methods.base import Method, NearTextMethod
from core.models.architectures import unembed
from core.models.splitting import input_device, is_split
from core.training.batches import IGNORE, Batch, Row, collate, epochs
from core.training.paging import page_out
from core.training.process_group import ALONE, ProcessGroup

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Swaps = Sequence[tuple[nn.Module, str, nn.Module | Tensor, nn.Module | Tensor]]  # see `_swaps`


@dataclass(frozen=True)
class Step:
    """One update. Losses are the task's, in nats per target token (`valid_loss` is None without a validation); `rows` counts
    training pairs; `distance` is that from `near_text` (core/methods/near_text.py), before the update, as `loss` is."""

    index: int
    total: int
    loss: float
    valid_loss: float | None
    rate: float
    rows: int
    seconds: float
    best: bool = False
    distance: float | None = None


def total_updates(config: TrainConfig, rows: int) -> int:
    """Return the number of updates for `rows` training pairs."""
    return config.updates or max(1, math.ceil(config.epochs * rows / (config.batch * config.accumulate)))


def learning_rate_at(config: TrainConfig, index: int, total: int) -> float:
    """Return the learning rate of an update: linear warm-up, then linear decay to zero (paper, Appendix A.1)."""
    if index < config.warmup:
        return config.rate * (index + 1) / config.warmup
    return config.rate * (total - index) / max(1, total - config.warmup)


@dataclass
class TrainerState:
    """Everything that the next update depends on besides the parameters and the seed, so that a training can be resumed."""

    optimizer: torch.optim.AdamW
    index: int = 0  # updates done
    lowest: float = math.inf  # validation loss, plus the penalty on the distance from `near_text`
    valid_loss: float = math.inf  # the task's alone, where `lowest` was reached
    stale: int = 0  # validations since the lowest
    seconds: float = 0.0


def initial_state(method: Method, config: TrainConfig) -> TrainerState:
    """Return the state before the first update."""
    return TrainerState(torch.optim.AdamW(method.parameters(), lr=config.rate, weight_decay=config.weight_decay))


def train(
    method: Method,
    rows: Sequence[Row],
    valid: Sequence[Row],
    config: TrainConfig,
    cancel: Callable[[], bool] | None = None,
    state: TrainerState | None = None,
    group: ProcessGroup = ALONE,
) -> Iterator[Step]:
    """Train a method in place. Yields after each update, and ends early when `cancel()` returns true.

    Validates every `validate_every` updates and at the end; `Step.best` marks the lowest validation loss so far, and `patience`
    validations without a lower one end the training. Near a text it is the sum that the training minimizes that counts: the
    loss plus the penalty. `state` says where to start, and is updated in place: a resumed training
    makes the same updates as an uninterrupted one. `group`: the processes that share each batch; all of them take the same
    steps, whose losses are those of the whole batch. Raises TrainingFailed if the loss or its gradient is no longer finite; the
    parameters are then those of the last good update.
    """
    device = input_device(method.model)
    state = state or initial_state(method, config)
    batches, total = epochs(rows, config.batch, config.seed), total_updates(config, len(rows))
    for _ in range(state.index * config.accumulate):
        next(batches)
    began = time.monotonic() - state.seconds
    swaps = _swaps(method.model, config)
    copies = [swap for swap in swaps if isinstance(swap[2], Tensor)]  # in bf16: the originals are not in use for now
    page_out(swap[2] for swap in swaps if isinstance(swap[2], Tensor))
    group.copy_first(method.parameters())
    with _checkpointing(method.model, config.checkpointing):
        while state.index < total and not group.any(cancel is not None and cancel()):
            used = [next(batches) for _ in range(config.accumulate)]
            rate = state.optimizer.param_groups[0]["lr"] = learning_rate_at(config, state.index, total)
            shares = [collate(share, device) for chunk in used if (share := group.share(chunk))]
            loss, distance = _update(method, shares, config, state, swaps, group)
            state.index += 1
            due = bool(valid) and (state.index % config.validate_every == 0 or state.index == total)
            valid_loss = evaluate_loss(method, valid, config, group, copies) if due else None
            best = valid_loss is not None and _is_best(method, valid_loss, valid, config, state)
            state.seconds = time.monotonic() - began
            yield Step(state.index, total, loss, valid_loss, rate, sum(map(len, used)), state.seconds, best, distance)
            if config.patience and state.stale >= config.patience:
                return


def _is_best(method: Method, valid_loss: float, valid: Sequence[Row], config: TrainConfig, state: TrainerState) -> bool:
    """Whether a validation is the best so far, by what the training minimizes; updates the state.

    `valid_loss` is per token, and so is the penalty that is added to it: of a loss per sentence, it is the penalty's share.
    """
    objective = valid_loss
    if (distance := _distance(method)) is not None:
        answer = sum(len(row.answer) for row in valid) / len(valid)
        objective += config.near_weight * distance.item() / (answer if config.reduction == "sentence" else 1)
    best = objective < state.lowest
    if best:
        state.lowest, state.valid_loss = objective, valid_loss
    state.stale = 0 if best else state.stale + 1
    return best


def _update(
    method: Method, batches: list[Batch], config: TrainConfig, state: TrainerState, swaps: Swaps, group: ProcessGroup
) -> tuple[float, float | None]:
    """Make one update; returns the mean loss in nats per token, and the distance from `near_text`.

    Changes nothing if the loss or its gradient is not finite.
    """
    state.optimizer.zero_grad(set_to_none=True)
    loss = _backward(method, batches, config, swaps, group)
    distance = _add_penalty(method, config)
    norm = nn.utils.clip_grad_norm_(method.parameters(), config.clip or math.inf)
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise TrainingFailed(
            f"At update {state.index + 1} the loss is {loss} and its gradient's norm {float(norm)}: training diverged. "
            f"What was learned before is kept. Train again under another name, with a lower rate than {config.rate:g}."
        )
    state.optimizer.step()
    return loss, distance


def _backward(method: Method, batches: list[Batch], config: TrainConfig, swaps: Swaps = (), group: ProcessGroup = ALONE) -> float:
    """Accumulate gradients over the batches of one update, in all processes; returns the mean loss in nats per token.

    Both reductions weight each batch by its part of the update, so that splitting a batch changes nothing.
    """
    targets, rows = group.sum_numbers(sum(batch.targets for batch in batches), sum(len(batch.ids) for batch in batches))
    total = 0.0
    for batch in batches:
        # checkpointed layers are recomputed in the backward pass, with the method attached
        with method.attach(len(batch.ids), batch.split), _swapped(swaps):
            summed = batch_loss(method, batch, config)
            (summed / (targets if config.reduction == "token" else rows)).backward()
        total += summed.item()
    group.sum_gradients(method.parameters())
    return group.sum_numbers(total)[0] / targets


def _add_penalty(method: Method, config: TrainConfig) -> float | None:
    """Add the gradients of the penalty on the distance from `near_text`; returns the distance, None where there is none.

    Every process of a group adds the same, after the gradients of the loss are summed.
    """
    distance = _distance(method)
    if distance is None:
        return None
    if config.near_weight:
        (config.near_weight * distance).backward()
    return distance.item()


def _distance(method: Method) -> Tensor | None:
    return method.distance() if isinstance(method, NearTextMethod) else None


def batch_loss(method: Method, batch: Batch, config: TrainConfig) -> Tensor:
    """Return the summed loss over the target tokens of a batch, with the method attached; logits are computed only at targets."""
    device = batch.ids.device
    with torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16(config, device)):
        hidden = method.model.base_model(**batch.inputs(method.length), use_cache=False).last_hidden_state
        is_target = batch.labels != IGNORE  # (B, T)
        logits = unembed(method.model, hidden[is_target.to(hidden.device)])  # (targets, vocabulary)
        return F.cross_entropy(logits.float().to(device), batch.labels[is_target], reduction="sum")


@torch.no_grad()
def evaluate_loss(
    method: Method, rows: Sequence[Row], config: TrainConfig, group: ProcessGroup = ALONE, copies: Swaps = ()
) -> float:
    """Return the mean loss in nats per target token. `copies`: of frozen matrices, as autocast would make them at every use."""
    device = input_device(method.model)
    ordered, summed, targets = group.share(sorted(rows, key=len)), 0.0, 0
    for start in range(0, len(ordered), 32):
        part = collate(ordered[start : start + 32], device)
        with method.attach(len(part.ids), part.split), _swapped(copies):
            summed += batch_loss(method, part, config).item()
        targets += part.targets
    loss, count = group.sum_numbers(summed, targets)
    return loss / count


def uses_bf16(config: TrainConfig, device: torch.device) -> bool:
    """Whether to use autocast: "auto" means yes on CUDA with bf16, and on CPUs with bf16 instructions."""
    if config.autocast != "auto":
        return config.autocast == "on"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def _swaps(model: nn.Module, config: TrainConfig) -> Swaps:
    """Return faster replacements for parts of the model during an update: (module, attribute, original, replacement).

    GPT-2's activation becomes one fused operation instead of eight: the same function, with one saved tensor instead of four. A
    frozen matrix that autocast would cast to bf16 at every use is cast once. Embeddings are left alone, also where an output
    layer is tied to them, and so are matrices under checkpointing, whose purpose is to save memory.
    """
    from transformers.activations import NewGELUActivation  # here: slow to import
    from transformers.pytorch_utils import Conv1D

    bf16 = uses_bf16(config, input_device(model)) and not config.checkpointing and not is_split(model)
    swaps: list[tuple[nn.Module, str, nn.Module | Tensor, nn.Module | Tensor]] = []
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                swaps.append((module, name, child, nn.GELU(approximate="tanh")))
        if bf16 and isinstance(module, nn.Linear | Conv1D) and not module.weight.requires_grad:
            low = nn.Parameter(module.weight.to(torch.bfloat16), requires_grad=False)
            swaps.append((module, "weight", module.weight, low))
    return swaps


@contextmanager
def _swapped(swaps: Swaps) -> Iterator[None]:
    """Install the replacements in the `with` block."""
    try:
        for module, name, _, replacement in swaps:
            setattr(module, name, replacement)
        yield
    finally:
        for module, name, original, _ in swaps:
            setattr(module, name, original)


@contextmanager
def _checkpointing(model: "PreTrainedModel", on: bool) -> Iterator[None]:
    """Turn on gradient checkpointing if configured, and undo it at the end.

    transformers ignores it in eval mode; train mode changes nothing else, since every dropout is 0.
    """
    if not on:
        yield
        return
    model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    try:
        yield
    finally:
        model.activation_checkpointing_disable()
        model.eval()

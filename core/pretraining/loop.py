"""The pre-training loop: `launch.py pretrain --preset mini-gpt2` or `mini-bart`.

Muon on the blocks' matrices, AdamW on embeddings, biases and norms; a constant learning rate, then linear decay; bf16. Model,
batches and loss come from the recipes (next_token.py, denoising.py). Resumable: the checkpoint holds weights, optimiser state
and the step number, which seeds the batches of each update.
"""

import csv
import hashlib
import os
import re
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, Protocol, TextIO, TypeVar

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from transformers import PreTrainedModel

from core.errors import BadInput
from core.pretraining.config import PretrainConfig
from core.pretraining.corpus import ANOTHER_OUT
from core.pretraining.denoising import Denoising
from core.pretraining.next_token import NextToken
from core.pretraining.prefetch import Batches
from core.runs.layout import JsonObject, disk_errors, write_text

AGAIN = "Free some space; the same command goes on from the last checkpoint."


class Batch(Protocol):
    """The input of one forward pass: how many tokens it reads, and how many of them are targets."""

    @property
    def tokens(self) -> int: ...

    @property
    def targets(self) -> int: ...


Model = TypeVar("Model", bound=PreTrainedModel)
Item = TypeVar("Item", bound=Batch)


class Recipe(Protocol[Model, Item]):
    """A way to pre-train. `NextToken` describes each method."""

    valid_names: tuple[str, ...]
    autocast: bool

    def new_model(self, device: torch.device) -> Model: ...

    def initialise(self, model: Model) -> None: ...

    def optimise(self, model: Model) -> None: ...

    def open(self) -> None: ...

    def batches(self, step: int, done: float, rng: np.random.Generator) -> list[Item]: ...

    def loss(self, model: Model, batch: Item) -> torch.Tensor: ...

    def validation(self) -> dict[str, list[Item]]: ...

    def mixed(self, losses: dict[str, float]) -> dict[str, float]: ...


@dataclass(frozen=True)
class PretrainStep:
    """One update. Losses are in nats per target token; `valid` has the recipe's `valid_names` after a validation, else it is
    empty."""

    index: int
    total: int
    tokens: int
    loss: float
    rate: float
    seconds: float
    valid: dict[str, float]
    saved: bool = False  # whether a checkpoint was written after it


def recipe_of(config: PretrainConfig, folder: Path) -> Recipe[Any, Any]:
    """Create the recipe of a configuration, for the prepared corpus in `folder`."""
    return NextToken(config, folder) if config.objective == "next_token" else Denoising(config, folder)


def optimisers(model: nn.Module, config: PretrainConfig) -> list[Optimizer]:
    """Create the optimisers: Muon for the blocks' matrices, AdamW for everything else."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and re.search(r"\.(h|layers)\.", name)]
    matrix_ids = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in matrix_ids]
    muon = torch.optim.Muon(matrices, lr=config.muon_rate, momentum=0.95, weight_decay=0.0)
    adam = torch.optim.AdamW(others, lr=config.adam_rate, betas=(0.9, 0.95), weight_decay=0.0)
    return [muon, adam]


def rate_factor(done: float, decay_share: float) -> float:
    """Return the fraction of the peak learning rate at the fraction `done` (0 to 1) of the run: constant, then linear to 2 %."""
    if done < 1 - decay_share:
        return 1.0
    return 0.02 + 0.98 * max(0.0, 1 - done) / decay_share


def done_share(config: PretrainConfig, tokens: int, seconds: float) -> float:
    """Return how much of the budget is used (0 to 1, or more): minutes if they are set, else tokens."""
    return seconds / (60 * config.minutes) if config.minutes else tokens / config.tokens


def _loss(recipe: Recipe[Model, Item], model: Model, batch: Item) -> torch.Tensor:
    with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=recipe.autocast):
        return recipe.loss(model, batch)


@torch.no_grad()
def validate(recipe: Recipe[Model, Item], model: Model, sets: dict[str, list[Item]]) -> dict[str, float]:
    """Compute the held-out loss in nats per token on the recipe's fixed batches."""
    losses = {}
    for name, batches in sets.items():
        total = sum(batch.targets for batch in batches)
        losses[name] = sum(_loss(recipe, model, batch).item() * batch.targets for batch in batches) / total
    return recipe.mixed(losses)


def pretrain(config: PretrainConfig, folder: Path, out: Path, device: torch.device, workers: int = 0) -> Iterator[PretrainStep]:
    """Train on the prepared corpus in `folder`, with checkpoints and `loss.csv` in `out`; an existing checkpoint is resumed.
    Raises BadInput if that is of another corpus.

    If the budget is changed on resuming, the end of the run and the start of the decay move with it. A line of `loss.csv` has
    the mean training loss since the previous line. `workers`: the number of processes that draw batches ahead.
    """
    out.mkdir(parents=True, exist_ok=True)
    state, corpus = _checkpoint(out, device), _fingerprint(folder)
    if state.get("corpus", corpus) != corpus:  # checkpoints of earlier versions do not say
        raise BadInput(
            f"The run in {out} was trained on another corpus than the one in {folder}. "
            f"Give another folder with --out, or delete {out / 'checkpoint.pt'} to begin again."
        )
    if state:  # what the run began with may be gone, and is not needed any more
        kept = {"start": "", "continue_from": ""} | state["config"]
        config = replace(config, **{name: kept[name] for name in ("seed", "start", "continue_from")})
    else:
        config = replace(config, seed=_batch_seed(config))
    recipe = recipe_of(config, folder)
    model = recipe.new_model(device)
    if not state:
        recipe.initialise(model)
    model = model.to(device).train()
    recipe.optimise(model)
    opts = optimisers(model, config)
    step, tokens, before = 0, 0, 0.0
    if state:
        model.load_state_dict(state["model"])
        for opt, saved in zip(opts, state["optimisers"], strict=True):
            opt.load_state_dict(saved)
        step, tokens, before = state["step"], state["tokens"], state["seconds"]
        del state
    recipe.open()  # with workers too: what is wrong with the text is said here
    draw, held_out = Batches(recipe, workers), recipe.validation()
    began = time.monotonic() - before
    done = done_share(config, tokens, before)
    with _open_log(out / "loss.csv", recipe.valid_names, step) as handle:
        log = csv.writer(handle)
        recent: list[float] = []
        while done < 1:
            factor = rate_factor(done, config.decay_share) * min(1.0, (step + 1) / (config.warmup + 1))
            loss, used = train_update(recipe, model, opts, draw(step, done), config, factor)
            step, tokens, seconds = step + 1, tokens + used, time.monotonic() - began
            done = done_share(config, tokens, seconds)
            last = done >= 1
            valid = validate(recipe, model, held_out) if last or step % config.validate_every == 0 else {}
            recent.append(loss)
            saved = last or step % config.save_every == 0
            report = PretrainStep(step, max(step, round(step / done)), tokens, loss, factor, seconds, valid, saved)
            if valid or step % 20 == 0:
                marks = [f"{valid[key]:.4f}" if key in valid else "" for key in recipe.valid_names]
                log.writerow([step, tokens, f"{sum(recent) / len(recent):.4f}", f"{factor:.4f}", f"{seconds:.1f}", *marks])
                handle.flush()
                recent.clear()
            if saved:
                counts = {"step": step, "tokens": tokens, "seconds": seconds}
                _save(out, model, opts, {**counts, "config": asdict(config), "corpus": corpus})
            yield report
    draw.close()


def train_update(
    recipe: Recipe[Model, Item], model: Model, opts: list[Optimizer], batches: list[Item], config: PretrainConfig, factor: float
) -> tuple[float, int]:
    """Make one update over all of `batches`; returns the mean loss over their targets, and the number of tokens read."""
    for opt, peak in zip(opts, (config.muon_rate, config.adam_rate), strict=True):
        opt.zero_grad(set_to_none=True)
        for group in opt.param_groups:
            group["lr"] = peak * factor
    targets, mean = sum(batch.targets for batch in batches), 0.0
    for batch in batches:
        loss = _loss(recipe, model, batch) * (batch.targets / targets)
        loss.backward()
        mean += loss.item()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for opt in opts:
        opt.step()
    return mean, sum(batch.tokens for batch in batches)


def _open_log(path: Path, valid_names: Sequence[str], step: int) -> TextIO:
    """Open loss.csv for appending, cut after the update `step` of the checkpoint."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    whole = [line.rstrip("\n") for line in lines if line.endswith("\n") and line[:1].isdigit()]  # a kill can leave half a line
    columns = ["step", "tokens", "loss", "rate", "seconds", *(f"valid_{name}" for name in valid_names)]
    before = [line for line in whole if int(line.split(",")[0]) <= step]
    write_text(path, "\r\n".join([",".join(columns), *before]) + "\r\n", ANOTHER_OUT)
    return open(path, "a", newline="", encoding="utf-8")  # open for the length of the training


def _save(out: Path, model: nn.Module, opts: list[Optimizer], state: dict[str, object]) -> None:
    state = state | {"model": model.state_dict(), "optimisers": [opt.state_dict() for opt in opts]}
    with disk_errors(f"write {out / 'checkpoint.pt'}", AGAIN, errors=(OSError, RuntimeError)):  # the latter is PyTorch's
        torch.save(state, out / "checkpoint.tmp")
        os.replace(out / "checkpoint.tmp", out / "checkpoint.pt")


def _checkpoint(out: Path, device: torch.device) -> JsonObject:
    """Return the stored state of a run; empty if it has none yet."""
    file = out / "checkpoint.pt"
    return torch.load(file, map_location=device, weights_only=True) if file.exists() else {}


def _fingerprint(corpus: Path) -> str:
    """Return the fingerprint of a prepared corpus: its words, and how many of them each stream has."""
    return hashlib.sha256(b"".join((corpus / name).read_bytes() for name in ("tokenizer.json", "corpus.json"))).hexdigest()


def _batch_seed(config: PretrainConfig) -> int:
    """Return the seed of a new run: the configured one, or one of its own for each model that a run goes on from.

    With the model's own seed, the run would read again, update by update, what the model has read.
    """
    weights = sorted(Path(config.continue_from).glob("*.safetensors")) if config.continue_from else []
    return reduce(lambda seed, file: zlib.crc32(file.read_bytes(), seed), weights, config.seed)

"""What a prefix can and cannot teach: a prefix and fine-tuning on the same toy model and task, update by update.

The toy model was trained on some tasks (analysis/toy/tasks.py), and its input does not say which one is meant. A prefix is
enough to select one of those; a new task has to go into the weights (Petrov et al. 2024).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from analysis.toy.tasks import DIGITS, rows
from core import paths
from core.config.train import TrainConfig
from core.methods.base import Method
from core.methods.registry import new_method
from core.models.architectures import unembed
from core.models.backbone import Backbone
from core.models.loading import load_backbone
from core.training.batches import IGNORE, Row, collate
from core.training.loop import train

PREFIX, FINETUNE = METHODS = ("prefix", "finetune")
RATES = {PREFIX: 3e-2, FINETUNE: 1e-3}
LENGTH, BATCH = 10, 64  # virtual tokens; rows in an update
TEST_ROWS, TRAIN_ROWS = 200, 20_000


@dataclass(frozen=True)
class TrialStep:
    """Accuracy on new rows. `right`: the share of correct digits, given the ones before them; `whole`: the share of fully
    correct answers, which greedy decoding would generate."""

    method: str
    update: int
    right: float
    whole: float
    trained: int


def toy_backbone() -> Backbone:
    """Load the bundled toy model, on the CPU."""
    return load_backbone(str(paths.TOY), "cpu")


def trial(backbone: Backbone, task: str, updates: int = 200, every: int = 20) -> Iterator[TrialStep]:
    """Train a prefix and a copy of the model on a task, `every` updates of each in turn; the first result is at update 0."""
    data = rows(backbone, [task], TRAIN_ROWS, 1)
    test = rows(backbone, [task], TEST_ROWS, 0)
    runs = [_run(backbone, name, data, test, updates, every) for name in METHODS]
    for _ in range(updates // every + 1):
        for run in runs:
            yield next(run)


def _run(
    backbone: Backbone, name: str, data: Sequence[Row], test: Sequence[Row], updates: int, every: int
) -> Iterator[TrialStep]:
    config = _config(name, updates)
    method = new_method(backbone, config)
    trained = sum(parameter.numel() for parameter in method.parameters())
    yield TrialStep(name, 0, *accuracy(method, test), trained)
    for step in train(method, data, [], config):
        if step.index % every == 0:
            yield TrialStep(name, step.index, *accuracy(method, test), trained)


def _config(name: str, updates: int) -> TrainConfig:
    return TrainConfig(
        method=name, length=LENGTH, init="random", rate=RATES[name], updates=updates, batch=BATCH, autocast="off", seed=0
    )


@torch.no_grad()
def accuracy(method: Method, test: Sequence[Row]) -> tuple[float, float]:
    """Return the share of digits that are the likeliest token at their position, and of answers in which all are; ends do not
    count."""
    device = next(method.model.parameters()).device
    batch = collate(test, device)
    with method.attach(len(test)):
        hidden = method.model.base_model(**batch.inputs(method.length), use_cache=False).last_hidden_state
    is_target = batch.labels != IGNORE  # (B, T)
    likeliest = unembed(method.model, hidden[is_target]).argmax(-1).view(len(test), DIGITS + 1)
    hits = (likeliest == batch.labels[is_target].view(len(test), DIGITS + 1))[:, :DIGITS]  # (B, digits)
    return float(hits.float().mean()), float(hits.all(1).float().mean())

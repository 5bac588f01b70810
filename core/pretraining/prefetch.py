"""Draw the batches of a run's updates, in the training process or ahead of it in worker processes."""

import multiprocessing
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.pretraining.config import PretrainConfig

_recipe: Any = None  # of a worker process


def update_rng(seed: int, step: int) -> np.random.Generator:
    """Return the random generator of one update, so that a resumed run draws the batches of an uninterrupted one."""
    return np.random.default_rng((seed, step))


class Batches:
    """Draws the batches of one update after another; with `workers` processes, some updates ahead."""

    def __init__(self, recipe: Any, workers: int = 0) -> None:
        self.recipe, self.workers = recipe, workers
        if workers:
            context = multiprocessing.get_context("spawn")
            self.pool = ProcessPoolExecutor(workers, context, _open, (type(recipe), recipe.config, recipe.folder))
            self.ahead: deque[Future[list[Any]]] = deque()
            self.next = -1

    def __call__(self, step: int, done: float) -> list[Any]:
        """Return the batches of update `step`, at the fraction `done` (0 to 1) of the run."""
        if not self.workers:
            return self.recipe.batches(step, done, update_rng(self.recipe.config.seed, step))
        self.next = max(self.next, step)
        while len(self.ahead) < 2 * self.workers:
            self.ahead.append(self.pool.submit(_draw, self.next, done))
            self.next += 1
        return self.ahead.popleft().result()

    def close(self) -> None:
        """End the worker processes."""
        if self.workers:
            self.pool.shutdown(cancel_futures=True)


def _open(recipe: type, config: PretrainConfig, folder: Path) -> None:
    global _recipe
    torch.set_num_threads(1)
    _recipe = recipe(config, folder)
    _recipe.open()


def _draw(step: int, done: float) -> list[Any]:
    return _recipe.batches(step, done, update_rng(_recipe.config.seed, step))

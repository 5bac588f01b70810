"""Measure how fast mini-gpt2 trains on this machine's CPU, alternating with plain autocast."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from core.pretraining.config import PretrainConfig
from core.pretraining.loop import optimisers, train_update
from core.pretraining.next_token import NextToken
from core.pretraining.prefetch import update_rng

PLAIN_BATCH = 6144  # tokens of an update


@dataclass(frozen=True)
class Speed:
    """Tokens per second of CPU time, including the drawing of batches and the optimizer steps."""

    plain: float
    fast: float

    @property
    def ratio(self) -> float:
        """How many times faster the bf16 training is."""
        return self.fast / self.plain


def compare_speed(config: PretrainConfig, folder: Path) -> Speed:
    """Return the best of three updates each: autocast with updates of `PLAIN_BATCH` tokens, and training as configured."""
    cpu = torch.device("cpu")
    best = {False: 0.0, True: 0.0}
    sides = {}
    for fast in best:
        recipe = NextToken(config if fast else replace(config, batch_tokens=PLAIN_BATCH), folder)
        model = recipe.new_model(cpu).train()
        if fast:
            recipe.optimise(model)
        else:
            model.set_attn_implementation("eager")
        recipe.open()
        sides[fast] = recipe, model, optimisers(model, config)
    for turn in range(1 + 3):
        for fast, (recipe, model, opts) in sides.items():
            began = time.process_time()
            batches = recipe.batches(turn, 0.0, update_rng(config.seed, turn))
            _, tokens = train_update(recipe, model, opts, batches, recipe.config, 1.0)
            if turn:  # the first warms up
                best[fast] = max(best[fast], tokens / (time.process_time() - began))
    return Speed(best[False], best[True])

"""Rows of token ids to padded tensors. Padding is known by length, never by id: the pad id may be the end's id."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.backbone import Backbone
from core.errors import TooLong
from core.tasks import Example, Task

IGNORE = -100
POOL = 64  # batches sorted by length together


@dataclass(frozen=True)
class Row:
    """One training pair as token ids: what is read, and what is to be written (its end included)."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True)
class Batch:
    """Right-padded rows. `ids`: (B, T); `labels`: (B, T), the next token at places that predict the answer, else IGNORE.

    No mask is needed: with causal attention nothing real ever sees the padding to its right.
    """

    ids: Tensor
    labels: Tensor

    @property
    def targets(self) -> int:
        """How many tokens are predicted."""
        return int((self.labels != IGNORE).sum())


def rows_of(backbone: Backbone, task: Task, examples: Sequence[Example], prefix_length: int) -> list[Row]:
    """One row a target. TooLong names the first example that does not fit beside the prefix."""
    rows: list[Row] = []
    seen: dict[str, tuple[int, ...]] = {}
    room = backbone.spec.positions - prefix_length
    for example in examples:
        prompt = seen.get(example.source)
        if prompt is None:
            prompt = seen[example.source] = tuple(backbone.encode(task.prompt(example.source)))
        for target in example.targets:
            row = Row(prompt, tuple(backbone.encode(task.answer(target))))
            if len(row) > room:
                raise TooLong(
                    f"An example has {len(row)} tokens, and {max(room, 0)} fit beside {prefix_length} virtual tokens "
                    f"in {backbone.spec.positions} positions: "
                    f"{example.source[:60]!r}… Shorten it, leave it out, or use fewer virtual tokens."
                )
            rows.append(row)
    return rows


def collate(rows: Sequence[Row], device: torch.device) -> Batch:
    """Pad rows on the right to the longest."""
    width = max(len(row) for row in rows) - 1  # the last token is only predicted
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), width), IGNORE)
    for index, row in enumerate(rows):
        tokens = torch.tensor(row.prompt + row.answer)
        ids[index, : len(row) - 1] = tokens[:-1]
        labels[index, len(row.prompt) - 1 : len(row) - 1] = tokens[len(row.prompt) :]
    return Batch(ids.to(device), labels.to(device))


def epochs(rows: Sequence[Row], batch: int, seed: int) -> Iterator[list[Row]]:
    """Batches without end: every epoch shuffled anew, rows of like length together so that little is padding."""
    rng = random.Random(seed)
    order = list(rows)
    while True:
        rng.shuffle(order)
        for start in range(0, len(order), batch * POOL):
            pool = sorted(order[start : start + batch * POOL], key=len)
            chunks = [pool[i : i + batch] for i in range(0, len(pool), batch)]
            rng.shuffle(chunks)
            yield from chunks


def left_pad(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Prompts padded on the left: ids (B, T) and mask (B, T), 1 where a token is real."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
        mask[row, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)

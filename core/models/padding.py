"""Pad sequences of token ids. Padding is tracked by length and never by id, since the pad id may be the end-of-text id."""

from collections.abc import Sequence

import torch
from torch import Tensor


def right_pad(sources: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Pad sources on the right: ids (B, S) and mask (B, S), 1 for real tokens; the mask is None if no row is padded."""
    lengths = torch.tensor([len(source) for source in sources])
    width = int(lengths.max())
    ids = torch.tensor([[*source, *[0] * (width - len(source))] for source in sources], dtype=torch.long)
    mask = (torch.arange(width)[None] < lengths[:, None]).long()
    return ids.to(device), None if bool(mask.all()) else mask.to(device)


def left_pad(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Pad prompts on the left: ids (B, T) and mask (B, T), 1 for real tokens."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
        mask[row, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)

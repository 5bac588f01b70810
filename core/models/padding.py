"""Pad sequences of token ids. Padding is tracked by length and never by id, since the pad id may be the end-of-text id."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def right_pad(sources: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Pad sources on the right: ids (B, S) and mask (B, S), 1 for real tokens; the mask is None if no row is padded."""
    ids, mask = _pad(sources, "right")
    return ids.to(device), None if bool(mask.all()) else mask.to(device)


def left_pad(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Pad prompts on the left: ids (B, T) and mask (B, T), 1 for real tokens."""
    ids, mask = _pad(prompts, "left")
    return ids.to(device), mask.to(device)


def _pad(rows: Sequence[Sequence[int]], side: str) -> list[Tensor]:
    ids = [torch.tensor(row, dtype=torch.long) for row in rows]
    return [pad_sequence(part, batch_first=True, padding_side=side) for part in (ids, [torch.ones_like(row) for row in ids])]

"""Turn rows of token ids into padded tensors. Padding is tracked by length and never by id, since the pad id may be the
end-of-text id."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from core.errors import TooLong
from core.models.backbone import Backbone
from core.models.inputs import encode_answer, encode_input
from core.models.padding import right_pad
from core.task import Example, Task

IGNORE = -100
POOL = 64  # batches sorted by length together


@dataclass(frozen=True)
class Row:
    """One training pair as token ids: the prompt, and the answer with its end.

    `decoder_start_ids`: the ids that an encoder-decoder's decoder starts with; empty if prompt and answer are one text.
    `split`: the number of prompt tokens before an infix, which do not see it; 0 without an infix.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    decoder_start_ids: tuple[int, ...] = ()
    split: int = 0

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True)
class Batch:
    """Right-padded rows. `ids`: (B, T); `labels`: (B, T), the next token at positions that predict the answer, else IGNORE.

    They need no mask: with causal attention, no real token sees the padding to its right. `source`: (B, S), the encoder's
    input, and its `mask`, (B, S), 1 for real tokens, or None if all are. `split`: (B,), the first column after the virtual
    tokens: 0 except for an infix.
    """

    ids: Tensor
    labels: Tensor
    source: Tensor | None = None
    mask: Tensor | None = None
    split: Tensor | None = None

    def inputs(self, virtual: int) -> dict[str, Tensor | None]:
        """Return the model's arguments. In a decoder-only model, positions start after the `virtual` tokens (paper §4.2)."""
        if self.source is not None:
            return {"input_ids": self.source, "attention_mask": self.mask, "decoder_input_ids": self.ids}
        columns = torch.arange(self.ids.shape[1], device=self.ids.device)[None]
        if self.split is None:
            return {"input_ids": self.ids, "position_ids": columns + virtual}
        places = columns + (columns >= self.split[:, None]) * virtual
        mask = torch.ones_like(self.ids)  # without one, transformers takes a gap in the positions for the end of a text
        return {"input_ids": self.ids, "position_ids": places, "attention_mask": mask}

    @property
    def targets(self) -> int:
        """The number of predicted tokens."""
        return int((self.labels != IGNORE).sum())


def encode_rows(
    backbone: Backbone, task: Task, examples: Sequence[Example], prefix_length: int, infix: bool = False
) -> list[Row]:
    """Encode one row per target. Raises TooLong, naming the first example that does not fit beside the prefix or infix."""
    rows: list[Row] = []
    encoded: dict[str, tuple[tuple[int, ...], int]] = {}
    for example in examples:
        if example.source not in encoded:
            source = encode_input(backbone, task, example.source, infix)
            encoded[example.source] = tuple(source.ids), source.split
        prompt, split = encoded[example.source]
        for target in example.targets:
            row = Row(prompt, tuple(encode_answer(backbone, task, target)), backbone.decoder_start_ids, split)
            _check_room(backbone, row, prefix_length, example.source)
            rows.append(row)
    return rows


def _check_room(backbone: Backbone, row: Row, virtual: int, source: str) -> None:
    positions = backbone.spec.positions
    if not row.decoder_start_ids:
        parts, beside = [("An example", len(row), positions - virtual)], f" beside {virtual} virtual tokens"
    else:
        answers = len(row.decoder_start_ids) + len(row.answer) - 1
        parts, beside = [("An example's input", len(row.prompt), positions), ("An example's target", answers, positions)], ""
    for what, tokens, room in parts:
        if tokens > room:
            raise TooLong(
                f"{what} has {tokens} tokens, and at most {max(room, 0)} fit{beside} in {positions} positions: "
                f"{source[:60]!r}… Shorten it, leave it out, or use fewer virtual tokens."
            )


def collate(rows: Sequence[Row], device: torch.device) -> Batch:
    """Pad rows on the right to the longest."""
    before = [row.decoder_start_ids or row.prompt for row in rows]  # what stands before the answer
    pairs = [(context, row.answer) for context, row in zip(before, rows, strict=True)]
    ids = pad_sequence([torch.tensor((context + answer)[:-1], dtype=torch.long) for context, answer in pairs], batch_first=True)
    answers = [torch.tensor((IGNORE,) * (len(context) - 1) + answer, dtype=torch.long) for context, answer in pairs]
    labels = pad_sequence(answers, batch_first=True, padding_value=IGNORE)
    source, mask = right_pad([row.prompt for row in rows], device) if rows[0].decoder_start_ids else (None, None)
    split = torch.tensor([row.split for row in rows]) if any(row.split for row in rows) else None
    return Batch(ids.to(device), labels.to(device), source, mask, None if split is None else split.to(device))


def epochs(rows: Sequence[Row], batch: int, seed: int) -> Iterator[list[Row]]:
    """Yield batches endlessly; every epoch is shuffled anew, with rows of similar length together to reduce padding."""
    rng = random.Random(seed)
    order = list(rows)
    while True:
        rng.shuffle(order)
        for start in range(0, len(order), batch * POOL):
            pool = sorted(order[start : start + batch * POOL], key=len)
            chunks = [pool[i : i + batch] for i in range(0, len(pool), batch)]
            rng.shuffle(chunks)
            yield from chunks
